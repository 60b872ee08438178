//! `Result<T, E>` where both sides serialise, as in `Result<i64, String>`.
//!
//! Such a handler's return type is a value like any other to the compiler. serde writes it as the variant `Ok` or `Err`
//! of an enum `Result`, and that is where it is caught: `Ok` gives results, `Err` fails the call.

use std::fmt::{self, Display};

use perper_values::Value;
use serde::ser::{self, Impossible, Serialize, Serializer};

use crate::Failure;

/// What is done with a value that is no error.
pub(super) trait Take {
    type Taken;

    fn take<T: Serialize + ?Sized>(self, value: &T) -> Self::Taken;
}

/// Hands on a value, or what is inside an `Ok`; an `Err` is the failure.
pub(super) fn split<T: Serialize, K: Take>(value: &T, take: K) -> Result<K::Taken, Failure> {
    // Known when compiling: other types pay nothing.
    if !std::any::type_name::<T>().starts_with("core::result::Result<") {
        return Ok(take.take(value));
    }
    // serde writes a `Result` as nothing but a variant with one value.
    value.serialize(Variant(take)).unwrap_or_else(|NotAVariant| Err(failure(value)))
}

/// An error that is a plain value: its text, if it is one.
fn failure<T: Serialize + ?Sized>(error: &T) -> Failure {
    let encoded = perper_values::to_vec(error).and_then(|encoded| perper_values::decode(&encoded));
    let message = match encoded {
        Ok(Value::Text(text)) => text,
        Ok(Value::Null) => String::new(),
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("an error that cannot be written as a value: {error}"),
    };
    Failure { type_name: "Error".to_owned(), message, ..Failure::default() }
}

/// Sees nothing but a variant with one value.
struct Variant<K>(K);

#[derive(Debug)]
struct NotAVariant;

impl Display for NotAVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a variant")
    }
}

impl std::error::Error for NotAVariant {}

impl ser::Error for NotAVariant {
    fn custom<T: Display>(_: T) -> Self {
        NotAVariant
    }
}

type Split<K> = Result<<K as Take>::Taken, Failure>;
type Never<K> = Impossible<Split<K>, NotAVariant>;

macro_rules! refused {
    ($($method:ident($($type:ty),*) -> $ok:ty,)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, NotAVariant> {
            Err(NotAVariant)
        }
    )*};
}

impl<K: Take> Serializer for Variant<K> {
    type Ok = Split<K>;
    type Error = NotAVariant;
    type SerializeSeq = Never<K>;
    type SerializeTuple = Never<K>;
    type SerializeTupleStruct = Never<K>;
    type SerializeTupleVariant = Never<K>;
    type SerializeMap = Never<K>;
    type SerializeStruct = Never<K>;
    type SerializeStructVariant = Never<K>;

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Split<K>, NotAVariant> {
        Ok(if variant == "Err" { Err(failure(value)) } else { Ok(self.0.take(value)) })
    }

    refused! {
        serialize_bool(bool) -> Split<K>, serialize_i8(i8) -> Split<K>, serialize_i16(i16) -> Split<K>,
        serialize_i32(i32) -> Split<K>, serialize_i64(i64) -> Split<K>, serialize_i128(i128) -> Split<K>,
        serialize_u8(u8) -> Split<K>, serialize_u16(u16) -> Split<K>, serialize_u32(u32) -> Split<K>,
        serialize_u64(u64) -> Split<K>, serialize_u128(u128) -> Split<K>, serialize_f32(f32) -> Split<K>,
        serialize_f64(f64) -> Split<K>, serialize_char(char) -> Split<K>, serialize_str(&str) -> Split<K>,
        serialize_bytes(&[u8]) -> Split<K>, serialize_none() -> Split<K>, serialize_unit() -> Split<K>,
        serialize_unit_struct(&'static str) -> Split<K>,
        serialize_unit_variant(&'static str, u32, &'static str) -> Split<K>,
        serialize_seq(Option<usize>) -> Never<K>, serialize_tuple(usize) -> Never<K>,
        serialize_tuple_struct(&'static str, usize) -> Never<K>,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never<K>,
        serialize_map(Option<usize>) -> Never<K>, serialize_struct(&'static str, usize) -> Never<K>,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never<K>,
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Split<K>, NotAVariant> {
        Err(NotAVariant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Split<K>, NotAVariant> {
        Err(NotAVariant)
    }
}
