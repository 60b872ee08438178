//! From bytes to a [`Value`].

use crate::reader::MAX_RESERVATION;
use crate::reference::{Options, Reference};
use crate::{Integer, Reader, Result, Token, Value, validate};
use bytes::Bytes;

/// Decodes one value, after checking it as [`validate`] does.
///
/// A `Value` takes some eighty bytes where one byte may stand in the input. Who only passes on or compares what
/// comes from strangers does better with [`validate`], [`canonicalise`](crate::canonicalise) and [`Reader`].
pub fn decode(input: &[u8]) -> Result<Value> {
    validate(input)?;
    build(&mut Reader::new(input), None)
}

/// The same without copying the byte strings in it: they share `input`.
pub fn decode_bytes(input: &Bytes) -> Result<Value> {
    validate(input)?;
    build(&mut Reader::new(input), Some(input))
}

/// Builds the value that the reader is at. It has been validated, which also bounds the recursion.
pub(crate) fn build(reader: &mut Reader<'_>, owner: Option<&Bytes>) -> Result<Value> {
    Ok(match reader.token()? {
        Token::Null => Value::Null,
        Token::Bool(value) => Value::Bool(value),
        Token::Integer(value) => Value::Integer(value.into()),
        Token::BigInteger { negative, magnitude } => {
            Value::Integer(Integer::from_bignum(negative, magnitude))
        }
        Token::Float(value) => Value::Float(value),
        Token::Text(value) => Value::Text(value.to_owned()),
        Token::Bytes(value) => {
            Value::Bytes(owner.map_or_else(|| Bytes::copy_from_slice(value), |owner| owner.slice_ref(value)))
        }
        Token::Array(length) => Value::Array(elements(reader, owner, length)?),
        Token::Map(length) => {
            let mut entries = Vec::with_capacity(length.min(MAX_RESERVATION));
            for _ in 0..length {
                entries.push((build(reader, owner)?, build(reader, owner)?));
            }
            Value::Map(entries)
        }
        Token::DateTime(value) => Value::DateTime(value),
        Token::Uuid(value) => Value::Uuid(value),
        Token::Decimal(value) => Value::Decimal(value),
        Token::Set(length) => Value::Set(elements(reader, owner, length)?),
        Token::Reference { r#type, id, options: length } => {
            let mut options = Vec::with_capacity(length.min(MAX_RESERVATION));
            for _ in 0..length {
                options.push((reader.option_name()?.to_owned(), build(reader, owner)?));
            }
            Value::Reference(Reference {
                r#type: r#type.to_owned(),
                id: id.to_owned(),
                options: Options(options),
            })
        }
        Token::Tag(tag) => Value::Tagged(tag, Box::new(build(reader, owner)?)),
    })
}

fn elements(reader: &mut Reader<'_>, owner: Option<&Bytes>, length: usize) -> Result<Vec<Value>> {
    let mut elements = Vec::with_capacity(length.min(MAX_RESERVATION));
    for _ in 0..length {
        elements.push(build(reader, owner)?);
    }
    Ok(elements)
}
