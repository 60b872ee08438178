//! How many values something stands for, told by what it asks of a serializer first.

use serde::ser::{self, Impossible, Serialize, Serializer};
use std::fmt::{self, Display};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    None,
    One,
    Several,
}

pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Shape {
    let shape = value.serialize(Probe).unwrap_or_else(|stop| stop.0);
    // serde asks for an array of fixed size as it does for a tuple; only the name of the type tells them apart.
    if shape == Shape::Several && is_array::<T>() { Shape::One } else { shape }
}

/// What serde serialises as if it were not there.
const WRAPPERS: [&str; 6] =
    ["&mut ", "&", "core::option::Option<", "alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];

/// Whether this is a fixed-size array, perhaps within an `Option` or behind a pointer.
pub(super) fn is_array<T: ?Sized>() -> bool {
    let mut name = std::any::type_name::<T>();
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    name.starts_with('[')
}

/// Never looks deeper than the first call: compound values stop it with their shape as the error.
struct Probe;

#[derive(Debug)]
struct Stop(Shape);

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        // Cannot be written at all: the real serializer will say so.
        Self(Shape::One)
    }
}

type Never = Impossible<Shape, Stop>;

macro_rules! one {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(self, _: $type) -> Result<Shape, Stop> {
            Ok(Shape::One)
        }
    )*};
}

impl Serializer for Probe {
    type Ok = Shape;
    type Error = Stop;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    one! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
        serialize_u128 u128, serialize_f32 f32, serialize_f64 f64, serialize_char char, serialize_str &str,
        serialize_bytes &[u8],
    }

    fn serialize_none(self) -> Result<Shape, Stop> {
        Ok(Shape::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Shape, Stop> {
        Ok(of(value))
    }

    fn serialize_unit(self) -> Result<Shape, Stop> {
        Ok(Shape::None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Shape, Stop> {
        Ok(Shape::None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<Shape, Stop> {
        Ok(Shape::One)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Shape, Stop> {
        Ok(Shape::One)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Shape, Stop> {
        Ok(Shape::One)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }

    fn serialize_tuple(self, _: usize) -> Result<Never, Stop> {
        Err(Stop(Shape::Several))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Stop> {
        Err(Stop(Shape::One))
    }
}
