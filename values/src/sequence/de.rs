//! Decoding of a sequence by what is asked for.

use super::{Sequence, shape};
use crate::{Deserializer, Error, ErrorKind, RAW, Reader, Result, validate};
use serde::de::{self, Deserialize, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

pub(super) fn decode<'de, T: Deserialize<'de>, V: AsRef<[u8]>>(
    sequence: Sequence,
    values: &'de [V],
) -> Result<T> {
    // As when encoding: serde asks for an array of fixed size as it does for a tuple.
    if shape::is_array::<T>() {
        return sequence.element(values, 0);
    }
    T::deserialize(Several { sequence, values }).map_err(|error| error.at_root(sequence.name()))
}

/// The value of an element that is not there.
pub(super) fn missing<'de, T: Deserialize<'de>>(sequence: Sequence, index: usize) -> Result<T> {
    T::deserialize(Missing { sequence, index })
}

struct Several<'de, V> {
    sequence: Sequence,
    values: &'de [V],
}

impl<'de, V: AsRef<[u8]>> Several<'de, V> {
    fn missing(&self, index: usize) -> Missing {
        Missing { sequence: self.sequence, index }
    }
}

/// Whoever asks for one value gets the first.
macro_rules! first {
    ($($method:ident($($name:ident: $type:ty),*))*) => {$(
        fn $method<W: Visitor<'de>>(self, $($name: $type,)* visitor: W) -> Result<W::Value> {
            match self.values.first().map(AsRef::as_ref) {
                Some(value) => validate(value)
                    .and_then(|()| Deserializer::new(&mut Reader::new(value)).$method($($name,)* visitor)),
                None => self.missing(0).$method($($name,)* visitor),
            }
            .map_err(|error| error.at_index(0))
        }
    )*};
}

impl<'de, V: AsRef<[u8]>> de::Deserializer<'de> for Several<'de, V> {
    type Error = Error;

    first! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64()
        deserialize_char() deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_seq() deserialize_map() deserialize_identifier()
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_struct(name: &'static str, members: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_option<W: Visitor<'de>>(self, visitor: W) -> Result<W::Value> {
        match self.values {
            [] => visitor.visit_none(),
            [value] if value.as_ref() == [0xf6] => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<W: Visitor<'de>>(self, visitor: W) -> Result<W::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<W: Visitor<'de>>(self, _: &'static str, visitor: W) -> Result<W::Value> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<W: Visitor<'de>>(self, visitor: W) -> Result<W::Value> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<W: Visitor<'de>>(self, length: usize, visitor: W) -> Result<W::Value> {
        visitor.visit_seq(Positions { several: self, index: 0, length })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Positions<'de, V> {
    several: Several<'de, V>,
    index: usize,
    length: usize,
}

impl<'de, V: AsRef<[u8]>> de::SeqAccess<'de> for Positions<'de, V> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.length {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        match self.several.values.get(index).map(AsRef::as_ref) {
            Some(value) => {
                validate(value).and_then(|()| seed.deserialize(Deserializer::new(&mut Reader::new(value))))
            }
            None => seed.deserialize(self.several.missing(index)),
        }
        .map(Some)
        .map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.length - self.index)
    }
}

struct Missing {
    sequence: Sequence,
    index: usize,
}

impl Missing {
    fn error(&self) -> Error {
        let message = match (self.sequence, self.index) {
            (Sequence::Parameters, index) => format!("the parameter at position {index} is missing"),
            (Sequence::Results, 0) => "nothing was returned".to_owned(),
            (Sequence::Results, index) => format!("no result was returned at position {index}"),
        };
        Error::new(ErrorKind::Missing, message)
    }
}

impl<'de> de::Deserializer<'de> for Missing {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(self.error())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match (self.sequence, name) {
            // A generic value shows "nothing returned" as null; a parameter that is missing is an error for it too.
            (Sequence::Results, RAW) => visitor.visit_borrowed_bytes(&[0xf6]),
            (_, RAW) => Err(self.error()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
