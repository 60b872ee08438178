//! Values in JSON: JSON's own where it has them, an object with one name that begins with `$` where it has not.
//! `README.md` has the table.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use perper_values::{Decimal, Integer, Options, Reference, Value, reference};
use serde_json::{Map, Number, Value as Json, json};

/// Integers that every JSON parser keeps exactly.
const SAFE: i128 = (1 << 53) - 1;

/// How references are spelled, and what the type of each is called in values.
const REFERENCES: [(&str, &str); 5] = [
    ("$agent", reference::AGENT),
    ("$execution", reference::EXECUTION),
    ("$stream", reference::STREAM),
    ("$dictionary", reference::DICTIONARY),
    ("$list", reference::LIST),
];

/// The value as JSON.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(value) => match value.as_i128() {
            Some(small) if (-SAFE..=SAFE).contains(&small) => json!(small as i64),
            _ => json!({ "$int": value.to_string() }),
        },
        Value::Float(value) => json!({ "$float": float_text(*value) }),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!({ "$bytes": hex(value) }),
        Value::Array(elements) => elements.iter().map(to_json).collect(),
        Value::Map(entries) => match text_entries(entries) {
            Some(object) => Json::Object(object),
            None => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect();
                json!({ "$map": entries })
            }
        },
        Value::DateTime(value) => json!({ "$datetime": value.to_string() }),
        Value::Uuid(value) => json!({ "$uuid": value.to_string() }),
        Value::Decimal(value) => json!({ "$decimal": value.to_string() }),
        Value::Set(elements) => json!({ "$set": elements.iter().map(to_json).collect::<Json>() }),
        Value::Reference(reference) => reference_to_json(reference),
        Value::Tagged(tag, value) => json!({ "$tagged": [tag, to_json(value)] }),
    }
}

/// The value that JSON tells.
pub fn from_json(json: &Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number_from_json(number)?,
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(elements) => Value::Array(elements.iter().map(from_json).collect::<Result<_>>()?),
        Json::Object(object) => match object.keys().find(|name| name.starts_with('$')) {
            Some(tag) => tagged_from_json(tag, object)?,
            None => {
                let entry =
                    |(name, value): (&String, &Json)| Ok((Value::Text(name.clone()), from_json(value)?));
                Value::Map(object.iter().map(entry).collect::<Result<_>>()?)
            }
        },
    })
}

fn number_from_json(number: &Number) -> Result<Value> {
    if let Some(integer) = number.as_i128() {
        return Ok(Value::from(integer));
    }
    Ok(Value::Float(number.as_f64().with_context(|| format!("{number} is no number"))?))
}

fn tagged_from_json(tag: &str, object: &Map<String, Json>) -> Result<Value> {
    let content = &object[tag];
    if let Some((_, kind)) = REFERENCES.iter().find(|(name, _)| *name == tag) {
        return reference_from_json(kind, content, object);
    }
    ensure!(object.len() == 1, "{tag} stands alone in its object, not beside others: {object:?}");
    let text = || content.as_str().with_context(|| format!("{tag} takes text, not {content}"));
    let array = || content.as_array().with_context(|| format!("{tag} takes an array, not {content}"));
    Ok(match tag {
        "$int" => Value::Integer(integer(text()?)?),
        "$float" => Value::Float(float(text()?)?),
        "$bytes" => Value::Bytes(unhex(text()?)?),
        "$datetime" => Value::DateTime(text()?.parse()?),
        "$uuid" => Value::Uuid(text()?.parse()?),
        "$decimal" => Value::Decimal(text()?.parse()?),
        "$set" => Value::Set(array()?.iter().map(from_json).collect::<Result<_>>()?),
        "$map" => Value::Map(array()?.iter().map(entry_from_json).collect::<Result<_>>()?),
        "$tagged" => match &array()?[..] {
            [number, value] => {
                let number = number.as_u64().context("a tag is a number")?;
                let tagged = Value::Tagged(number, Box::new(from_json(value)?));
                // A reference of a type without a name here is a reference still: the codec knows.
                perper_values::decode(&perper_values::encode(&tagged)?)?
            }
            _ => bail!("$tagged takes a tag and a value, not {content}"),
        },
        _ => bail!("{tag} is no kind of value that the notation knows"),
    })
}

fn entry_from_json(entry: &Json) -> Result<(Value, Value)> {
    match entry.as_array().map(Vec::as_slice) {
        Some([key, value]) => Ok((from_json(key)?, from_json(value)?)),
        _ => bail!("an entry of $map is a pair, not {entry}"),
    }
}

/// `{"$stream": "id", "start": 5, "stride": 1}`: the options stand beside the id.
fn reference_to_json(reference: &Reference) -> Json {
    let Some((tag, _)) = REFERENCES.iter().find(|(_, kind)| *kind == reference.r#type) else {
        let mut content = vec![json!(reference.r#type), json!(reference.id)];
        if !reference.options.0.is_empty() {
            let options = reference.options.0.iter();
            let options = options.map(|(name, value)| (Value::Text(name.clone()), value.clone()));
            content.push(to_json(&Value::Map(options.collect())));
        }
        return json!({ "$tagged": [27, content] });
    };
    let mut object = Map::from_iter([((*tag).to_owned(), json!(reference.id))]);
    object.extend(reference.options.0.iter().map(|(name, value)| (name.clone(), to_json(value))));
    Json::Object(object)
}

fn reference_from_json(kind: &str, id: &Json, object: &Map<String, Json>) -> Result<Value> {
    let id = id.as_str().with_context(|| format!("the id of a reference is text, not {id}"))?;
    let mut reference = Reference::new(kind, id);
    let options = object.iter().filter(|(name, _)| !name.starts_with('$'));
    let options = options.map(|(name, value)| Ok((name.clone(), from_json(value)?)));
    reference.options = Options(options.collect::<Result<_>>()?);
    Ok(Value::Reference(reference))
}

/// The entries as an object, unless a key is no text or could be taken for a tag.
fn text_entries(entries: &[(Value, Value)]) -> Option<Map<String, Json>> {
    let entry = |(key, value): &(Value, Value)| match key {
        Value::Text(name) if !name.starts_with('$') => Some((name.clone(), to_json(value))),
        _ => None,
    };
    entries.iter().map(entry).collect()
}

fn float_text(float: f64) -> String {
    match float {
        _ if float.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => format!("{float:?}"),
    }
}

fn float(text: &str) -> Result<f64> {
    text.parse().with_context(|| format!("{text:?} is no float"))
}

/// Of any size, in decimal digits.
fn integer(text: &str) -> Result<Integer> {
    if let Ok(small) = text.parse::<i128>() {
        return Ok(small.into());
    }
    // How integers beyond 128 bits are written by `Integer`: in hexadecimal, negative ones as −1 − magnitude.
    let hexadecimal = [(false, "0x"), (true, "-1-0x")];
    if let Some((negative, digits)) =
        hexadecimal.iter().find_map(|(negative, prefix)| Some((*negative, text.strip_prefix(prefix)?)))
    {
        return Ok(Integer::from_bignum(negative, &unhex(digits)?));
    }
    // A decimal has a coefficient of any size, and reads digits.
    let decimal: Decimal = text.parse().with_context(|| format!("{text:?} is no integer"))?;
    ensure!(decimal.exponent() == 0, "{text:?} is no integer");
    Ok(decimal.coefficient().clone())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Bytes> {
    ensure!(text.len().is_multiple_of(2) && text.is_ascii(), "{text:?} is not hexadecimal");
    let byte = |at| {
        u8::from_str_radix(&text[at..at + 2], 16).with_context(|| format!("{text:?} is not hexadecimal"))
    };
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every vector that is a value goes through JSON unharmed.
    #[test]
    fn every_golden_vector_goes_through_json() -> Result<()> {
        let vectors: Json = serde_json::from_str(include_str!("../vectors/accepted.json"))?;
        for vector in vectors.as_array().context("a list")? {
            let encoded = unhex(vector["hex"].as_str().context("hex")?)?;
            let value = perper_values::decode(&encoded)?;
            let json = to_json(&value);
            let back = from_json(&json).with_context(|| format!("{vector}: {json}"))?;
            assert_eq!(back, value, "{vector}: {json}");
            let canonical = perper_values::canonicalise(&perper_values::encode(&back)?)?;
            assert_eq!(hex(&canonical), vector["canonical"].as_str().context("canonical")?, "{json}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (json, complaint) in [
            (json!({ "$int": "1.5" }), "1.5"),
            (json!({ "$int": 1 }), "text"),
            (json!({ "$bytes": "0" }), "hexadecimal"),
            (json!({ "$colour": "green" }), "$colour"),
            (json!({ "$int": "1", "more": 1 }), "alone"),
            (json!({ "$map": [[1]] }), "pair"),
            (json!({ "$tagged": [1] }), "$tagged"),
            (json!({ "$stream": 1 }), "id"),
        ] {
            let error = from_json(&json).expect_err("it is no value");
            assert!(format!("{error:#}").contains(complaint), "{json}: {error:#}");
        }
    }
}
