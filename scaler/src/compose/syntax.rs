//! The forms that values of a Compose file have: many can be written in two ways, and the versions of Compose differ in
//! which of them they print.

use std::collections::BTreeMap;

use serde_json::Value;

/// A text; numbers and truths can stand without quotes.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("{other} is no text")),
    }
}

pub(super) fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(format!("{other} is neither true nor false")),
    }
}

pub(super) fn number(value: &Value) -> Result<i64, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| format!("{value} is no whole number"))
}

pub(super) fn fraction(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| format!("{value} is no number"))
}

/// A list, or the one entry of it.
pub(super) fn list(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(entries) => entries.iter().map(text).collect(),
        other => Ok(vec![text(other)?]),
    }
}

/// A mapping, or a list of `name=value`. A name may have no value.
pub(super) fn pairs(value: &Value) -> Result<BTreeMap<String, Option<String>>, String> {
    match value {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| match value {
                Value::Null => Ok((name.clone(), None)),
                value => Ok((name.clone(), Some(text(value)?))),
            })
            .collect(),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| {
                let entry = text(entry)?;
                Ok(match entry.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (entry, None),
                })
            })
            .collect(),
        other => Err(format!("{other} is neither a mapping nor a list")),
    }
}

/// A command: a list of words, or a text that a shell would split into them.
pub(super) fn command(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => {
            shlex::split(text).ok_or_else(|| format!("{text:?} has a quote that is not closed"))
        }
        other => list(other),
    }
}

/// Units of time, in nanoseconds.
const TIMES: &[(&str, f64)] =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// A time such as `1m30s` or `1.5s`, in nanoseconds.
pub(super) fn nanoseconds(value: &Value) -> Result<i64, String> {
    let wrong = || format!("{value} is no time; give one like 1m30s");
    let text = value.as_str().ok_or_else(wrong)?;
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = TIMES.iter().find(|(name, _)| *name == &rest[..end]).ok_or_else(wrong)?;
        sum += number * unit;
        rest = &rest[end..];
    }
    // Longer than any grace or interval; the limit keeps the number exact.
    if text.is_empty() || sum > 1e15 {
        return Err(wrong());
    }
    Ok(sum as i64)
}

/// A size such as `64m` or `1.5gb`, in bytes. Every unit is a power of 1024.
pub(super) fn bytes(value: &Value) -> Result<i64, String> {
    let wrong = || format!("{value} is no size; give one like 64m");
    let text = match value {
        Value::Number(_) => return number(value).map_err(|_| wrong()),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => return Err(wrong()),
    };
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let power = match text[digits..].trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    let bytes = number * 1024_f64.powi(power);
    if bytes > 9e18 { Err(wrong()) } else { Ok(bytes as i64) }
}

/// What Compose prints has every `$` twice, so that it can be read as a Compose file again.
pub(super) fn unescape(value: Value) -> Value {
    let once = |text: String| if text.contains("$$") { text.replace("$$", "$") } else { text };
    match value {
        Value::String(text) => Value::String(once(text)),
        Value::Array(entries) => entries.into_iter().map(unescape).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(name, value)| (once(name), unescape(value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_those_of_go() {
        for (text, expected) in [
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h0m0s", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            ("500ms", 500_000_000),
            ("20us", 20_000),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(nanoseconds(&json!(text)), Ok(expected), "{text}");
        }
        for wrong in
            [json!(""), json!("10"), json!("s"), json!("1x"), json!("-1s"), json!(10), json!("99999h")]
        {
            assert!(nanoseconds(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units_of_1024() {
        for (size, expected) in [
            (json!("64m"), 64 << 20),
            (json!("64MB"), 64 << 20),
            (json!("1.5g"), 3 << 29),
            (json!("1GiB"), 1 << 30),
            (json!("67108864"), 64 << 20),
            (json!("10b"), 10),
            (json!(4096), 4096),
            (json!("-1"), -1),
        ] {
            assert_eq!(bytes(&size), Ok(expected), "{size}");
        }
        for wrong in [json!("m"), json!("1x"), json!(""), json!(true), json!(1.5)] {
            assert!(bytes(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_and_mappings_have_two_forms() {
        assert_eq!(list(&json!("a")).unwrap(), ["a"]);
        assert_eq!(list(&json!(["a", 1])).unwrap(), ["a", "1"]);
        let expected: BTreeMap<String, Option<String>> =
            [("A".into(), Some("1".into())), ("B".into(), None), ("C".into(), Some("x=y".into()))].into();
        assert_eq!(pairs(&json!({"A": 1, "B": null, "C": "x=y"})).unwrap(), expected);
        assert_eq!(pairs(&json!(["A=1", "B", "C=x=y"])).unwrap(), expected);
        assert!(pairs(&json!("A=1")).is_err());
        assert_eq!(command(&json!("sh -c 'a b'")).unwrap(), ["sh", "-c", "a b"]);
        assert!(command(&json!("sh -c 'a b")).is_err());
    }

    #[test]
    fn a_dollar_that_was_doubled_is_one() {
        assert_eq!(
            unescape(json!({"a": ["$$HOME", {"b$$": "c"}], "n": 1})),
            json!({"a": ["$HOME", {"b$": "c"}], "n": 1})
        );
    }
}
