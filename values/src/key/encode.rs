//! From values to keys.

use super::layout::{ARRAY, BYTES, DATE_TIME, END, ESCAPED, FALSE, REFERENCE, TEXT, TRUE, UUID};
use super::{MAX_KEY_DEPTH, number};
use crate::reference::CAPABILITY;
use crate::{Error, ErrorKind, Options, Result, Value, canonicalise, encode};

/// The key of a value: a boolean, number, text, bytes, date-time, UUID, reference, or an array of these. Fails with
/// [`ErrorKind::NotAKey`] and the path on anything else, and on arrays nested deeper than [`MAX_KEY_DEPTH`].
pub fn encode_key(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(value, &mut out, 0)?;
    Ok(out)
}

/// The key of an encoded value, which is checked first.
pub fn key_from_encoded(input: &[u8]) -> Result<Vec<u8>> {
    encode_key(&crate::decode(input)?)
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    match value {
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Integer(value) => number::encode_integer(value, out)?,
        Value::Float(value) => number::encode_float(*value, out)?,
        Value::Decimal(value) => number::encode_decimal(value, out),
        Value::Text(value) => {
            out.push(TEXT);
            escaped(value.as_bytes(), out);
        }
        Value::Bytes(value) => {
            out.push(BYTES);
            escaped(value, out);
        }
        Value::DateTime(value) => {
            out.push(DATE_TIME);
            // With the sign bit turned over, instants before 1970 sort first.
            out.extend_from_slice(&(value.unix_seconds() as u64 ^ (1 << 63)).to_be_bytes());
            out.extend_from_slice(&value.nanoseconds().to_be_bytes());
        }
        Value::Uuid(value) => {
            out.push(UUID);
            out.extend_from_slice(&value.0);
        }
        Value::Reference(reference) => {
            out.push(REFERENCE);
            escaped(reference.r#type.as_bytes(), out);
            escaped(reference.id.as_bytes(), out);
            escaped(&canonical_options(&reference.options)?, out);
        }
        Value::Array(elements) if depth < MAX_KEY_DEPTH => {
            out.push(ARRAY);
            for (index, element) in elements.iter().enumerate() {
                write(element, out, depth + 1).map_err(|error| error.at_index(index))?;
            }
            out.push(END);
        }
        Value::Array(_) => {
            let message = format!("arrays in a key are nested deeper than {MAX_KEY_DEPTH} levels");
            return Err(Error::new(ErrorKind::Depth, message));
        }
        Value::Null | Value::Map(_) | Value::Set(_) | Value::Tagged(..) => {
            let message = format!(
                "{} cannot be a key; booleans, numbers, text, bytes, date-times, UUIDs, references and arrays can",
                value.type_name()
            );
            return Err(Error::new(ErrorKind::NotAKey, message));
        }
    }
    Ok(())
}

fn canonical_options(options: &Options) -> Result<Vec<u8>> {
    let entries = options.0.iter().filter(|(name, _)| name != CAPABILITY);
    let map = entries.map(|(name, value)| (Value::Text(name.clone()), value.clone())).collect();
    canonicalise(&encode(&Value::Map(map))?)
}

fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == END {
            out.push(ESCAPED);
        }
    }
    out.push(END);
}
