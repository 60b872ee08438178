//! serde straight to and from encoded bytes, without a tree in between.

mod de;
mod hook;
mod impls;
mod members;
mod ser;
mod set;
pub mod with;

pub use de::{Deserializer, from_slice, from_validated};
pub use hook::{RAW, REFERENCE, SET};
pub use impls::RawValue;
pub use ser::{Serializer, to_buffer, to_vec};
pub use set::Set;
