//! Values as people type and read them. What JSON has no word for is an object with one key that begins with `$`.

use std::io::Write as _;

use perper_values::{Integer, Value};
use serde_json::{Map, Number, json};

/// An argument as CBOR.
pub(crate) fn argument(text: &str) -> anyhow::Result<bytes::Bytes> {
    let value = serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text));
    Ok(perper_values::encode(&from(value)?)?.into())
}

fn from(json: serde_json::Value) -> anyhow::Result<Value> {
    use serde_json::Value as J;
    Ok(match json {
        J::Null => Value::Null,
        J::Bool(flag) => Value::Bool(flag),
        J::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        J::String(text) => Value::Text(text),
        J::Array(elements) => Value::Array(elements.into_iter().map(from).collect::<anyhow::Result<_>>()?),
        J::Object(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| Ok((Value::Text(name), from(value)?)))
                .collect::<anyhow::Result<_>>()?,
        ),
    })
}

/// A value as JSON.
pub(crate) fn of(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => json!(null),
        Value::Bool(flag) => json!(flag),
        Value::Integer(integer) => of_integer(integer),
        Value::Float(float) => {
            Number::from_f64(*float).map_or_else(|| json!({"$float": float.to_string()}), Into::into)
        }
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => {
            json!({"$bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
        }
        Value::Array(elements) => elements.iter().map(of).collect(),
        Value::Map(entries) => of_map(entries),
        Value::DateTime(date_time) => json!({"$datetime": date_time.to_string()}),
        Value::Uuid(uuid) => json!({"$uuid": uuid.to_string()}),
        Value::Decimal(decimal) => json!({"$decimal": decimal.to_string()}),
        Value::Set(elements) => json!({"$set": elements.iter().map(of).collect::<Vec<_>>()}),
        Value::Reference(reference) => {
            let mut object = Map::new();
            let kind = reference.r#type.strip_prefix("perper.").unwrap_or(&reference.r#type).to_lowercase();
            object.insert(format!("${kind}"), json!(reference.id));
            for (name, option) in &reference.options.0 {
                object.insert(name.clone(), of(option));
            }
            object.into()
        }
        Value::Tagged(tag, content) => json!({"$tagged": [tag, of(content)]}),
    }
}

fn of_integer(integer: &Integer) -> serde_json::Value {
    match integer.as_i128() {
        Some(number) if i64::try_from(number).is_ok() => json!(i64::try_from(number).unwrap_or_default()),
        _ => json!({"$int": integer.to_string()}),
    }
}

fn of_map(entries: &[(Value, Value)]) -> serde_json::Value {
    let text = |(key, value): &(Value, Value)| match key {
        Value::Text(key) => Some((key.clone(), of(value))),
        _ => None,
    };
    match entries.iter().map(text).collect::<Option<Map<_, _>>>() {
        Some(object) => object.into(),
        None => {
            json!({"$map": entries.iter().map(|(key, value)| json!([of(key), of(value)])).collect::<Vec<_>>()})
        }
    }
}

/// One line.
pub(crate) fn print(json: &serde_json::Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{json}")?;
    // Whoever reads a stream reads it as it comes.
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_json_or_text() -> anyhow::Result<()> {
        for (text, value) in [
            ("5", Value::from(5)),
            ("1.5", Value::Float(1.5)),
            ("\"5\"", Value::from("5")),
            ("World", Value::from("World")),
            ("[1, null]", Value::Array(vec![Value::from(1), Value::Null])),
        ] {
            assert_eq!(perper_values::decode(&argument(text)?)?, value, "{text}");
        }
        Ok(())
    }

    #[test]
    fn what_json_lacks_is_an_object() {
        assert_eq!(of(&Value::Float(f64::NAN)), json!({"$float": "NaN"}));
        assert_eq!(of(&Value::Bytes(vec![0, 255].into())), json!({"$bytes": "00ff"}));
        assert_eq!(of(&Value::from(u64::MAX)), json!({"$int": "18446744073709551615"}));
        assert_eq!(of(&Value::Map(vec![(Value::from(1), Value::Null)])), json!({"$map": [[1, null]]}));
        assert_eq!(
            of(&Value::from(perper::Agent::new("Shop", "a"))),
            json!({"$agent": "Shop", "instance": "a"})
        );
    }
}
