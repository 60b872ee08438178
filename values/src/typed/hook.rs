//! How a type that serde knows nothing of reaches our codec: as a newtype struct of a name that ours understands.
//!
//! Other formats see the content only, so the types stay usable with, say, JSON.

/// `serialize_newtype_struct(RAW, bytes)` puts bytes that are encoded already in place as they are.
/// `deserialize_newtype_struct(RAW, visitor)` calls `visit_borrowed_bytes` with the encoded bytes of the next value;
/// another format calls `visit_newtype_struct`, by which the visitor tells them apart.
pub const RAW: &str = "$perper::raw";

/// `serialize_newtype_struct(SET, sequence)` writes a set, tag 258. To read one, ask for a sequence.
pub const SET: &str = "$perper::258";

/// `serialize_newtype_struct(REFERENCE, (type, id, options))` writes a reference, tag 27, where `type` and `id` are
/// text and `options` is a map or struct. To read one, ask for a tuple of three.
pub const REFERENCE: &str = "$perper::27";

pub(super) const DATE_TIME: &str = "$perper::0";
pub(super) const DECIMAL: &str = "$perper::4";
pub(super) const UUID: &str = "$perper::37";
pub(super) const POSITIVE_BIGNUM: &str = "$perper::2";
pub(super) const NEGATIVE_BIGNUM: &str = "$perper::3";
/// Content: a pair of the tag's number and the content.
pub(super) const TAGGED: &str = "$perper::tagged";

/// The tag that a newtype struct of this name stands for.
pub(super) fn tag(name: &'static str) -> Option<u64> {
    // Nearly every name fails at its first byte.
    if !name.starts_with("$perper::") {
        return None;
    }
    match name {
        DATE_TIME => Some(0),
        POSITIVE_BIGNUM => Some(2),
        NEGATIVE_BIGNUM => Some(3),
        DECIMAL => Some(4),
        REFERENCE => Some(27),
        UUID => Some(37),
        SET => Some(258),
        _ => None,
    }
}
