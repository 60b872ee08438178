//! Keys: bytes whose order is the order of the values.
//!
//! Two keys are the same bytes if, and only if, the values are equal, and `memcmp` orders them: booleans, numbers,
//! text, bytes, date-times, UUIDs, references, arrays. The layout is described byte for byte in the crate's README.

mod decode;
mod encode;
mod number;

pub use decode::decode_key;
pub use encode::{encode_key, key_from_encoded};

/// Arrays in a key may be nested this deep.
pub const MAX_KEY_DEPTH: usize = 16;

/// The first byte of each kind of key, and what ends and escapes variable parts.
mod layout {
    pub(super) const FALSE: u8 = 0x10;
    pub(super) const TRUE: u8 = 0x11;
    pub(super) const NUMBER: u8 = 0x20;
    pub(super) const TEXT: u8 = 0x30;
    pub(super) const BYTES: u8 = 0x40;
    pub(super) const DATE_TIME: u8 = 0x50;
    pub(super) const UUID: u8 = 0x60;
    pub(super) const REFERENCE: u8 = 0x70;
    pub(super) const ARRAY: u8 = 0x80;
    /// Ends text, bytes and arrays. Less than every first byte, so a shorter array sorts first.
    pub(super) const END: u8 = 0x00;
    /// After a zero byte within text or bytes. Greater than every first byte, so that it sorts after the end.
    pub(super) const ESCAPED: u8 = 0xff;
}
