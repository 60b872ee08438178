//! `Result<T, E>` where both sides serialise, as in `Result<i64, String>`.
//!
//! Such a handler's return type is a value like any other to the compiler. serde writes it as the variant `Ok` or `Err`
//! of an enum `Result`, and that is where it is caught: `Ok` gives results, `Err` fails the call.

use std::fmt::{self, Display};

use perper_values::Value;
use serde::ser::{self, Impossible, Serialize, Serializer};

use super::{results::completed, worker::Outcome};
use crate::Failure;

pub(super) fn outcome<T: Serialize>(value: &T) -> Outcome {
    // Known when compiling: other types pay nothing.
    if !std::any::type_name::<T>().starts_with("core::result::Result<") {
        return completed(value);
    }
    value.serialize(Variant).unwrap_or_else(|NotAVariant| completed(value))
}

/// An error that is a plain value: its text, if it is one.
fn failed<T: Serialize + ?Sized>(error: &T) -> Outcome {
    let encoded = perper_values::to_vec(error).and_then(|encoded| perper_values::decode(&encoded));
    let message = match encoded {
        Ok(Value::Text(text)) => text,
        Ok(Value::Null) => String::new(),
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("an error that cannot be written as a value: {error}"),
    };
    Outcome::Failed(Failure { type_name: "Error".to_owned(), message, ..Failure::default() })
}

/// Sees nothing but a variant with one value.
struct Variant;

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

type Never = Impossible<Outcome, NotAVariant>;

macro_rules! refused {
    ($($method:ident($($type:ty),*) -> $ok:ty,)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, NotAVariant> {
            Err(NotAVariant)
        }
    )*};
}

impl Serializer for Variant {
    type Ok = Outcome;
    type Error = NotAVariant;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Outcome, NotAVariant> {
        Ok(if variant == "Err" { failed(value) } else { completed(value) })
    }

    refused! {
        serialize_bool(bool) -> Outcome, serialize_i8(i8) -> Outcome, serialize_i16(i16) -> Outcome,
        serialize_i32(i32) -> Outcome, serialize_i64(i64) -> Outcome, serialize_i128(i128) -> Outcome,
        serialize_u8(u8) -> Outcome, serialize_u16(u16) -> Outcome, serialize_u32(u32) -> Outcome,
        serialize_u64(u64) -> Outcome, serialize_u128(u128) -> Outcome, serialize_f32(f32) -> Outcome,
        serialize_f64(f64) -> Outcome, serialize_char(char) -> Outcome, serialize_str(&str) -> Outcome,
        serialize_bytes(&[u8]) -> Outcome, serialize_none() -> Outcome, serialize_unit() -> Outcome,
        serialize_unit_struct(&'static str) -> Outcome,
        serialize_unit_variant(&'static str, u32, &'static str) -> Outcome,
        serialize_seq(Option<usize>) -> Never, serialize_tuple(usize) -> Never,
        serialize_tuple_struct(&'static str, usize) -> Never,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never,
        serialize_map(Option<usize>) -> Never, serialize_struct(&'static str, usize) -> Never,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never,
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Outcome, NotAVariant> {
        Err(NotAVariant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Outcome, NotAVariant> {
        Err(NotAVariant)
    }
}
