//! From a [`Value`] to bytes.

use crate::validate::deeper;
use crate::{Result, Value, Writer, validate};

/// Encodes a value. Fails on what no decoder would take: equal keys, more than 128 levels, a [`Value::Tagged`] whose
/// content does not fit its tag.
pub fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut doubtful = false;
    write(value, &mut out, 0, &mut doubtful)?;
    if doubtful {
        validate(&out)?;
    }
    Ok(out)
}

/// The bytes of any value, even one that breaks a rule.
pub(crate) fn write_unchecked(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Fails only on depth; what lies deeper then does not count.
    let _ = write(value, &mut out, 0, &mut false);
    out
}

/// `doubtful` becomes true if only a look at the bytes can tell whether the value keeps the rules.
fn write(value: &Value, out: &mut Vec<u8>, depth: usize, doubtful: &mut bool) -> Result<()> {
    let mut writer = Writer::new(out);
    match value {
        Value::Null => writer.null(),
        Value::Bool(value) => writer.bool(*value),
        Value::Integer(value) => writer.big_integer(value),
        Value::Float(value) => writer.float(*value),
        Value::Text(value) => writer.text(value),
        Value::Bytes(value) => writer.bytes(value),
        Value::DateTime(value) => writer.date_time(value),
        Value::Uuid(value) => writer.uuid(value),
        Value::Decimal(value) => writer.decimal(value),
        Value::Array(elements) => {
            writer.array(elements.len());
            write_elements(elements, out, deeper(depth)?, doubtful)?;
        }
        Value::Set(elements) => {
            *doubtful |= elements.len() > 1;
            writer.set(elements.len());
            write_elements(elements, out, deeper(depth)?, doubtful)?;
        }
        Value::Map(entries) => {
            *doubtful |= entries.len() > 1;
            writer.map(entries.len());
            let depth = deeper(depth)?;
            for (position, (key, value)) in entries.iter().enumerate() {
                let start = out.len();
                write(key, out, depth, doubtful).map_err(|error| error.at_key(position))?;
                write(value, out, depth, doubtful)
                    .map_err(|error| error.at_map_value(&out[start..], position))?;
            }
        }
        Value::Reference(reference) => {
            let options = &reference.options.0;
            *doubtful |= options.len() > 1;
            writer.reference(&reference.r#type, &reference.id, options.len());
            let depth = deeper(deeper(depth)?)?;
            for (name, value) in options {
                Writer::new(out).text(name);
                write(value, out, depth, doubtful).map_err(|error| error.at_member(name))?;
            }
        }
        Value::Tagged(tag, content) => {
            *doubtful |= matches!(tag, 0 | 2 | 3 | 4 | 27 | 37 | 258);
            writer.tag(*tag);
            write(content, out, deeper(depth)?, doubtful)?;
        }
    }
    Ok(())
}

fn write_elements(elements: &[Value], out: &mut Vec<u8>, depth: usize, doubtful: &mut bool) -> Result<()> {
    for (index, element) in elements.iter().enumerate() {
        write(element, out, depth, doubtful).map_err(|error| error.at_index(index))?;
    }
    Ok(())
}
