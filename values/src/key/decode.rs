//! From keys back to values, in canonical form.

use super::layout::{ARRAY, BYTES, DATE_TIME, END, ESCAPED, FALSE, NUMBER, REFERENCE, TEXT, TRUE, UUID};
use super::{MAX_KEY_DEPTH, encode_key, number};
use crate::{DateTime, Error, ErrorKind, Options, Reference, Result, Value, decode};

/// The value of a key, in canonical form: integral floats as integers, date-times in UTC, references without
/// capability tokens. Takes exactly what [`encode_key`](crate::encode_key) gives.
pub fn decode_key(key: &[u8]) -> Result<Value> {
    let malformed = || Error::new(ErrorKind::MalformedKey, "the bytes are no encoded key");
    let mut rest = key;
    let value = read(&mut rest, 0).ok_or_else(malformed)?;
    // One comparison in place of a check for each way to write a part differently.
    if rest.is_empty() && encode_key(&value).is_ok_and(|again| again == key) {
        Ok(value)
    } else {
        Err(malformed())
    }
}

fn read(rest: &mut &[u8], depth: usize) -> Option<Value> {
    let (&first, tail) = rest.split_first()?;
    *rest = tail;
    Some(match first {
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => {
            let (value, length) = number::decode(rest)?;
            *rest = rest.get(length..)?;
            value
        }
        TEXT => Value::Text(text(rest)?),
        BYTES => Value::Bytes(unescaped(rest)?.into()),
        DATE_TIME => {
            let seconds = u64::from_be_bytes(fixed(rest)?) ^ (1 << 63);
            let nanoseconds = u32::from_be_bytes(fixed(rest)?);
            Value::DateTime(DateTime::new(seconds as i64, nanoseconds, 0).ok()?)
        }
        UUID => Value::Uuid(crate::Uuid(fixed(rest)?)),
        REFERENCE => {
            let (r#type, id) = (text(rest)?, text(rest)?);
            let Value::Map(entries) = decode(&unescaped(rest)?).ok()? else { return None };
            let options = entries.into_iter().map(|(name, value)| match name {
                Value::Text(name) => Some((name, value)),
                _ => None,
            });
            Value::Reference(Reference { r#type, id, options: Options(options.collect::<Option<_>>()?) })
        }
        ARRAY if depth < MAX_KEY_DEPTH => {
            let mut elements = Vec::new();
            while *rest.first()? != END {
                elements.push(read(rest, depth + 1)?);
            }
            *rest = &rest[1..];
            Value::Array(elements)
        }
        _ => return None,
    })
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*bytes)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(unescaped(rest)?).ok()
}

fn unescaped(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == END)?;
        bytes.extend_from_slice(&rest[..end]);
        let escaped = rest.get(end + 1) == Some(&ESCAPED);
        *rest = &rest[end + 1 + usize::from(escaped)..];
        if !escaped {
            return Some(bytes);
        }
        bytes.push(END);
    }
}
