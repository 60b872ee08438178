//! How an entry stands in the store.
//!
//! Its key is the order-preserving form of the dictionary's key. Its value is led by the key as it was written, in case
//! that is not the canonical form: length (a varint, 0 for a canonical key), key, value. So a key comes back from an
//! enumeration as it went in: a reference with its capability token, a date-time with its offset.

use bytes::{Buf, Bytes};
use perper_proto::{Reason, v1};
use perper_store::MAX_KEY_BYTES;
use perper_values as values;
use prost::encoding::{decode_varint, encode_varint};

use crate::engine::Result;

/// The longest ordered form of a key: the store's limit, without the number before it.
const MAX_ORDERED_BYTES: usize = MAX_KEY_BYTES - 8;

/// The order-preserving form of a key.
pub(super) fn ordered(key: &[u8]) -> Result<Vec<u8>> {
    let ordered = values::key_from_encoded(key).map_err(|error| invalid_key(error, key.len()))?;
    if ordered.len() > MAX_ORDERED_BYTES {
        return Err(Reason::LimitExceeded
            .error(format!(
                "the key takes {} bytes in its ordered form, the limit is {MAX_ORDERED_BYTES}: use a shorter one",
                ordered.len()
            ))
            .with("bytes", ordered.len())
            .with("limit", MAX_ORDERED_BYTES));
    }
    Ok(ordered)
}

fn invalid_key(error: values::Error, bytes: usize) -> v1::Error {
    use values::ErrorKind::{Depth, NotAKey, Range};
    let error = error.at_root("key");
    let reason = match error.kind() {
        NotAKey | Depth | Range => Reason::InvalidKey,
        _ => Reason::InvalidValue,
    };
    reason
        .error(format!("{error} (a key of {bytes} bytes)"))
        .with("path", error.path())
        .with("kind", error.kind().code())
}

/// What the store keeps for an entry.
pub(super) fn pack(key: &[u8], value: &Bytes) -> Bytes {
    let key = if values::is_canonical(key) { &[] } else { key };
    let mut packed = Vec::with_capacity(2 + key.len() + value.len());
    encode_varint(key.len() as u64, &mut packed);
    packed.extend_from_slice(key);
    packed.extend_from_slice(value);
    packed.into()
}

/// The value of an entry.
pub(super) fn value(packed: Bytes) -> Result<Bytes> {
    Ok(unpack(packed)?.1)
}

/// The key as it was written, and the value.
pub(super) fn key_and_value(ordered: &[u8], packed: Bytes) -> Result<(Bytes, Bytes)> {
    let (key, value) = unpack(packed)?;
    if !key.is_empty() {
        return Ok((key, value));
    }
    let key = values::decode_key(ordered).and_then(|key| values::encode(&key)).map_err(|_| corrupt())?;
    Ok((key.into(), value))
}

fn unpack(mut packed: Bytes) -> Result<(Bytes, Bytes)> {
    let length = decode_varint(&mut packed).ok().and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|length| *length <= packed.remaining()).ok_or_else(corrupt)?;
    let key = packed.split_to(length);
    Ok((key, packed))
}

fn corrupt() -> v1::Error {
    Reason::StorageFailed
        .error("an entry in the storage is not as it was written: restore the data from a backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_key_takes_one_byte_and_another_comes_back_as_it_was() {
        for (key, overhead) in [(&[0x01][..], 1), (&[0xf9, 0x3c, 0x00], 4)] {
            let value = Bytes::from_static(&[0x63, b'a', b'b', b'c']);
            let packed = pack(key, &value);
            assert_eq!(packed.len(), value.len() + overhead);
            assert_eq!(super::value(packed.clone()).unwrap(), value);
            // 1 and 1.0 are one key.
            assert_eq!(ordered(key).unwrap(), ordered(&[0x01]).unwrap());
            assert_eq!(
                key_and_value(&ordered(key).unwrap(), packed).unwrap(),
                (Bytes::copy_from_slice(key), value)
            );
        }
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        for bytes in [&[][..], &[5, 1], &[0xff; 12]] {
            assert_eq!(value(Bytes::copy_from_slice(bytes)).unwrap_err().reason, "STORAGE_FAILED");
        }
    }
}
