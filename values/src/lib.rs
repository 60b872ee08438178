#![doc = include_str!("../README.md")]

mod canonical;
mod convert;
mod date_time;
mod decimal;
mod decode;
mod duplicates;
mod encode;
mod error;
mod integer;
mod key;
mod reader;
pub mod reference;
mod sequence;
mod typed;
mod uuid;
mod validate;
mod value;
mod writer;

pub use canonical::{canonicalise, equal, is_canonical};
pub use date_time::DateTime;
pub use decimal::{Decimal, MAX_COEFFICIENT_BYTES};
pub use decode::{decode, decode_bytes};
pub use encode::encode;
pub use error::{Error, ErrorKind, Result};
pub use integer::{Integer, IntegerParts};
pub use key::{MAX_KEY_DEPTH, decode_key, encode_key, key_from_encoded};
pub use reader::{MAX_DEPTH, Reader, Token};
pub use reference::{Options, Reference};
pub use sequence::Sequence;
pub use typed::{
    Deserializer, RAW, REFERENCE, RawValue, SET, Serializer, Set, from_slice, from_validated, to_buffer,
    to_vec, with,
};
pub use uuid::Uuid;
pub use validate::{validate, validate_within};
pub use value::Value;
pub use writer::Writer;
