//! Deserialisation.

mod access;

use super::{hook, members};
use crate::{Error, ErrorKind, Integer, Reader, Result, Token, validate};
use access::{Elements, Entries, Variant};
use serde::de::{self, Deserialize, IntoDeserializer, Visitor, value::SeqDeserializer};

/// Decodes any type that is `Deserialize`, after checking the input as [`validate`] does. It may borrow
/// text and bytes from the input.
///
/// Members of structs and variants of enums are matched exactly, then ignoring case and underscores; unknown members
/// are ignored. (Not within `#[serde(flatten)]`, `untagged` and the like, where serde does not say which it looks for.)
pub fn from_slice<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T> {
    validate(input)?;
    from_validated(input)
}

/// The same for input that has passed [`validate`] before. With other input the result may be wrong, though never
/// unsound.
pub fn from_validated<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T> {
    let mut reader = Reader::new(input);
    let value = T::deserialize(Deserializer::new(&mut reader))?;
    reader.finish()?;
    Ok(value)
}

/// Reads one value. See [`from_slice`].
#[derive(Debug)]
pub struct Deserializer<'a, 'de> {
    reader: &'a mut Reader<'de>,
}

impl<'a, 'de> Deserializer<'a, 'de> {
    /// Reads the value that the reader is at, which must have passed [`validate`].
    pub fn new(reader: &'a mut Reader<'de>) -> Self {
        Self { reader }
    }

    /// What comes next, as it is.
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // The most frequent first, for which a whole token costs more than the look at the head.
        match self.reader.peek() >> 5 {
            0 => return visitor.visit_u64(self.reader.head()?.argument),
            3 => {
                let head = self.reader.head()?;
                return visitor.visit_borrowed_str(self.reader.text(head)?);
            }
            _ => {}
        }
        let start = self.reader.clone();
        match self.reader.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Integer(value) => visit_integer(value, visitor),
            Token::BigInteger { negative, magnitude } => {
                let integer = Integer::from_bignum(negative, magnitude);
                match integer.as_u128() {
                    Some(value) => visitor.visit_u128(value),
                    None => Err(Error::new(
                        ErrorKind::Range,
                        format!("{integer} is too large for an integer of 128 bits"),
                    )),
                }
            }
            Token::Float(value) => visitor.visit_f64(value),
            Token::Text(value) => visitor.visit_borrowed_str(value),
            Token::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Token::Array(length) | Token::Set(length) => self.sequence(length, visitor),
            Token::Map(length) => Entries::new(self.reader, length, None).visit(visitor),
            Token::Decimal(value) => visitor.visit_string(value.to_string()),
            // The rest is what stands under the tag.
            Token::DateTime(_) | Token::Uuid(_) | Token::Reference { .. } => {
                *self.reader = start;
                self.reader.head()?;
                self.visit(visitor)
            }
            Token::Tag(_) => self.visit(visitor),
        }
    }

    fn sequence<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        let mut elements = Elements::new(self.reader, length);
        let value = visitor.visit_seq(&mut elements)?;
        elements.finish()?;
        Ok(value)
    }

    fn tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        let mut ahead = self.reader.clone();
        match ahead.token()? {
            Token::Array(found) | Token::Set(found) if found != length => {
                let message = format!("expected an array of {length} elements, found one of {found}");
                Err(Error::new(ErrorKind::Type, message))
            }
            Token::Array(_) | Token::Set(_) => {
                *self.reader = ahead;
                self.sequence(length, visitor)
            }
            _ => de::Deserializer::deserialize_seq(self, visitor),
        }
    }

    /// Reads an integer, or a float with an integral value.
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let mut ahead = self.reader.clone();
        if matches!(ahead.peek(), 0xf9..=0xfb)
            && let Token::Float(float) = ahead.token()?
            && let Some(integer) = Integer::from_f64(float).as_ref().and_then(Integer::as_i128)
        {
            *self.reader = ahead;
            return visit_integer(integer, visitor);
        }
        self.visit(visitor)
    }

    /// Reads a float, or an integer as the nearest one.
    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if matches!(self.reader.peek(), 0xf9..=0xfb) {
            return self.visit(visitor);
        }
        let start = self.reader.clone();
        let integer = match self.reader.token()? {
            Token::Integer(value) => return visitor.visit_f64(value as f64),
            Token::BigInteger { negative, magnitude } => Integer::from_bignum(negative, magnitude),
            _ => {
                *self.reader = start;
                return self.visit(visitor);
            }
        };
        match integer.to_f64() {
            Some(value) => visitor.visit_f64(value),
            None => Err(Error::new(ErrorKind::Range, "the integer is beyond the range of floats")),
        }
    }
}

fn visit_integer<'de, V: Visitor<'de>>(value: i128, visitor: V) -> Result<V::Value> {
    if let Ok(value) = u64::try_from(value) {
        visitor.visit_u64(value)
    } else if let Ok(value) = i64::try_from(value) {
        visitor.visit_i64(value)
    } else {
        visitor.visit_i128(value)
    }
}

macro_rules! forward {
    ($to:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.$to(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Deserializer<'_, 'de> {
    type Error = Error;

    forward! { visit:
        deserialize_any deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_map deserialize_identifier
    }
    forward! { integer:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }
    forward! { float: deserialize_f32 deserialize_f64 }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.reader.take_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.visit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name == hook::RAW {
            visitor.visit_borrowed_bytes(self.reader.skip()?)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.reader.peek() >> 5 != 2 {
            return self.visit(visitor);
        }
        // This is how `Vec<u8>` asks.
        let length = self.reader.head()?.argument;
        let bytes = self.reader.take(length)?;
        visitor.visit_seq(SeqDeserializer::<_, Error>::new(bytes.iter().copied()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        self.tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let start = self.reader.clone();
        match self.reader.token()? {
            Token::Map(length) => Entries::new(self.reader, length, Some(members)).visit(visitor),
            Token::Array(_) | Token::Set(_) => Err(Error::new(
                ErrorKind::Type,
                "expected a map with the members of a struct, found an array",
            )),
            _ => {
                *self.reader = start;
                self.visit(visitor)
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let known = |name: &'de str| match members::find(variants, name) {
            Some(variant) => variants[variant],
            None => name,
        };
        match self.reader.token()? {
            Token::Text(name) => visitor.visit_enum(known(name).into_deserializer()),
            Token::Map(1) => match self.reader.token()? {
                Token::Text(name) => visitor
                    .visit_enum(Variant { name: known(name), reader: self.reader })
                    .map_err(|error| error.at_member(name)),
                _ => Err(Error::new(
                    ErrorKind::Type,
                    "expected the name of a variant as the key of a map of one entry",
                )),
            },
            _ => Err(Error::new(
                ErrorKind::Type,
                "expected the name of a variant, or a map of one entry from a variant's name to its content",
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.reader.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
