//! The generic value: whatever agents exchange, as one enum.

use crate::{DateTime, Decimal, Integer, Reference, Uuid, canonical};
use bytes::Bytes;
use std::hash::{Hash, Hasher};

/// Any value.
///
/// Equality is that of `values.md`: an integral float is the integer, −0 is 0, NaN is NaN, decimals compare by value,
/// date-times by instant, maps and sets without regard to order, references without their capability tokens.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of any size.
    Integer(Integer),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// Values in order.
    Array(Vec<Value>),
    /// Keys and values in the order they were written.
    Map(Vec<(Value, Value)>),
    /// An instant with an offset.
    DateTime(DateTime),
    /// A UUID.
    Uuid(Uuid),
    /// A decimal fraction.
    Decimal(Decimal),
    /// Distinct values.
    Set(Vec<Value>),
    /// An agent, execution, stream, dictionary or list.
    Reference(Reference),
    /// A value under a tag that Perper gives no meaning.
    Tagged(u64, Box<Value>),
}

impl Value {
    /// The value under a text key, if this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries
                .iter()
                .find(|(key, _)| matches!(key, Self::Text(text) if text == name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// What it is, in words, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::DateTime(_) => "a date-time",
            Self::Uuid(_) => "a UUID",
            Self::Decimal(_) => "a decimal",
            Self::Set(_) => "a set",
            Self::Reference(_) => "a reference",
            Self::Tagged(..) => "a tagged value",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Integer(integer), Self::Float(float)) | (Self::Float(float), Self::Integer(integer)) => {
                Integer::from_f64(*float).as_ref() == Some(integer)
            }
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::DateTime(a), Self::DateTime(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Reference(a), Self::Reference(b)) => a == b,
            (Self::Tagged(a, x), Self::Tagged(b, y)) => a == b && x == y,
            // Order does not count here, so compare what sorting gives.
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && canonical::of_value(self) == canonical::of_value(other)
            }
            (Self::Set(a), Self::Set(b)) => {
                a.len() == b.len() && canonical::of_value(self) == canonical::of_value(other)
            }
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        canonical::of_value(self).hash(state);
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool,
    i8 => Integer, i16 => Integer, i32 => Integer, i64 => Integer, i128 => Integer, isize => Integer,
    u8 => Integer, u16 => Integer, u32 => Integer, u64 => Integer, u128 => Integer, usize => Integer,
    Integer => Integer,
    f32 => Float, f64 => Float,
    &str => Text, String => Text,
    Bytes => Bytes,
    Vec<Value> => Array,
    Vec<(Value, Value)> => Map,
    DateTime => DateTime,
    Uuid => Uuid,
    Decimal => Decimal,
    Reference => Reference,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
