//! Our own types under serde.

use super::hook::{DATE_TIME, DECIMAL, NEGATIVE_BIGNUM, POSITIVE_BIGNUM, RAW, REFERENCE, SET, TAGGED, UUID};
use crate::decode::build;
use crate::{
    DateTime, Decimal, Error, ErrorKind, Integer, IntegerParts, Options, Reader, Reference, Result, Uuid,
    Value, encode, validate,
};
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// One encoded value, kept as bytes: read and written as it is, whatever it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawValue(Bytes);

impl RawValue {
    /// Takes encoded bytes, after checking them.
    pub fn new(encoded: impl Into<Bytes>) -> Result<Self> {
        let encoded = encoded.into();
        validate(&encoded)?;
        Ok(Self(encoded))
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Content for a hook, as bytes whatever the format.
struct Octets<'a>(&'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for RawValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, &Octets(&self.0))
    }
}

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.parts() {
            IntegerParts::Small(small) => match (u64::try_from(small), i64::try_from(small)) {
                (Ok(small), _) => serializer.serialize_u64(small),
                (_, Ok(small)) => serializer.serialize_i64(small),
                _ => serializer.serialize_i128(small),
            },
            IntegerParts::Big { negative, magnitude } => {
                let name = if negative { NEGATIVE_BIGNUM } else { POSITIVE_BIGNUM };
                serializer.serialize_newtype_struct(name, &Octets(magnitude))
            }
        }
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DATE_TIME, self.format().as_str())
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct(UUID, &Octets(&self.0))
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct(DECIMAL, &(self.exponent(), self.coefficient()))
        }
    }
}

impl Serialize for Options {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(REFERENCE, &(&self.r#type, &self.id, &self.options))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => value.serialize(serializer),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::Array(elements) => elements.serialize(serializer),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::DateTime(value) => value.serialize(serializer),
            Self::Uuid(value) => value.serialize(serializer),
            Self::Decimal(value) => value.serialize(serializer),
            Self::Set(elements) => serializer.serialize_newtype_struct(SET, elements),
            Self::Reference(value) => value.serialize(serializer),
            Self::Tagged(tag, content) => serializer.serialize_newtype_struct(TAGGED, &(tag, content)),
        }
    }
}

/// Gets hold of one value: from our format as encoded bytes, from another by what it shows.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bytes<E: de::Error>(self, encoded: &[u8]) -> Result<Value, E> {
        build(&mut Reader::new(encoded), None).map_err(E::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ShownVisitor)
    }
}

/// Takes what a format that is not ours, or serde's own buffer for untagged enums, shows of a value.
struct ShownVisitor;

impl<'de> Visitor<'de> for ShownVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, ValueVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bytes<E: de::Error>(self, encoded: &[u8]) -> Result<RawValue, E> {
        Ok(RawValue(Bytes::copy_from_slice(encoded)))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        let value = deserializer.deserialize_any(ShownVisitor)?;
        encode(&value).map(|encoded| RawValue(encoded.into())).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

fn unexpected(expected: &str, value: &Value) -> Error {
    Error::new(ErrorKind::Type, format!("expected {expected}, found {}", value.type_name()))
}

impl TryFrom<Value> for Integer {
    type Error = Error;

    /// Also takes a float with an integral value.
    fn try_from(value: Value) -> Result<Self> {
        match value {
            Value::Integer(value) => Ok(value),
            Value::Float(float) => Self::from_f64(float)
                .ok_or_else(|| Error::new(ErrorKind::Type, format!("expected an integer, found {float}"))),
            other => Err(unexpected("an integer", &other)),
        }
    }
}

impl TryFrom<Value> for DateTime {
    type Error = Error;

    /// Also takes text in the form of RFC 3339.
    fn try_from(value: Value) -> Result<Self> {
        match value {
            Value::DateTime(value) => Ok(value),
            Value::Text(text) => text.parse(),
            other => Err(unexpected("a date-time", &other)),
        }
    }
}

impl TryFrom<Value> for Uuid {
    type Error = Error;

    /// Also takes text with four hyphens, and sixteen bytes.
    fn try_from(value: Value) -> Result<Self> {
        match value {
            Value::Uuid(value) => Ok(value),
            Value::Text(text) => text.parse(),
            Value::Bytes(bytes) => match bytes[..].try_into() {
                Ok(bytes) => Ok(Self(bytes)),
                Err(_) => Err(unexpected("a UUID", &Value::Bytes(bytes))),
            },
            other => Err(unexpected("a UUID", &other)),
        }
    }
}

impl TryFrom<Value> for Decimal {
    type Error = Error;

    /// Also takes an integer, an integral float, and text such as `-1.50`.
    fn try_from(value: Value) -> Result<Self> {
        match value {
            Value::Decimal(value) => Ok(value),
            Value::Text(text) => text.parse(),
            Value::Integer(_) | Value::Float(_) => Self::new(Integer::try_from(value)?, 0),
            other => Err(unexpected("a decimal", &other)),
        }
    }
}

impl TryFrom<Value> for Reference {
    type Error = Error;

    /// Also takes an array of a type, an id and a map of options: what other formats show of a reference.
    fn try_from(value: Value) -> Result<Self> {
        let parts = match value {
            Value::Reference(reference) => return Ok(reference),
            Value::Array(parts) => <[Value; 3]>::try_from(parts).map_err(Value::Array),
            other => Err(other),
        };
        match parts {
            Ok([Value::Text(r#type), Value::Text(id), Value::Map(options)]) => {
                let options = options.into_iter().map(|(name, value)| match name {
                    Value::Text(name) => Ok((name, value)),
                    other => Err(unexpected("text as the name of an option", &other)),
                });
                Ok(Self { r#type, id, options: Options(options.collect::<Result<_>>()?) })
            }
            Ok(parts) => Err(unexpected("a reference", &Value::Array(parts.into()))),
            Err(other) => Err(unexpected("a reference", &other)),
        }
    }
}

macro_rules! through_value {
    ($($type:ty: $expected:literal,)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Scalars take no allocation on this way.
                let value = Value::deserialize(deserializer)?;
                let found = value.type_name();
                value.try_into().map_err(|error: Error| match error.kind() {
                    ErrorKind::Type => de::Error::invalid_type(Unexpected::Other(found), &$expected),
                    _ => de::Error::custom(error),
                })
            }
        }
    )*};
}

through_value! {
    Integer: "an integer",
    DateTime: "a date-time",
    Uuid: "a UUID",
    Decimal: "a decimal",
    Reference: "a reference",
}
