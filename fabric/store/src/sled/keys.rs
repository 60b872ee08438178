//! How the spaces share one tree.
//!
//! A value lies under its space's number and its key. The chunks of a large one lie apart, so that a range over values
//! never meets them: under [`CHUNKS`], the space's number, the length of the key, the key and the chunk's number.

use std::ops::Bound;

use crate::{KeyRange, Space};

/// Leads the keys of chunks; no space has this number.
const CHUNKS: u8 = 0xFF;

/// The key of a value.
pub(super) fn value(space: Space, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(space.number());
    full.extend_from_slice(key);
    full
}

/// What is left of a value's key without its space.
pub(super) fn without_space(full: &[u8]) -> &[u8] {
    full.get(1..).unwrap_or_default()
}

/// The range of values that is the range of a space.
pub(super) fn range(space: Space, range: &KeyRange) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let bound = |bound: &Bound<bytes::Bytes>| bound.as_ref().map(|key| value(space, key));
    let start = match bound(&range.start) {
        Bound::Unbounded => Bound::Included(vec![space.number()]),
        bound => bound,
    };
    let end = match bound(&range.end) {
        Bound::Unbounded => Bound::Excluded(vec![space.number() + 1]),
        bound => bound,
    };
    (start, end)
}

/// What the keys of all chunks of a space begin with.
pub(super) fn chunks_of_space(space: Space) -> [u8; 2] {
    [CHUNKS, space.number()]
}

/// The key of a chunk of a value.
pub(super) fn chunk(space: Space, key: &[u8], number: u32) -> Vec<u8> {
    let mut full = Vec::with_capacity(2 + 4 + key.len() + 4);
    full.extend_from_slice(&chunks_of_space(space));
    // Without the length, a chunk of one key could lie among those of another that it begins with.
    full.extend_from_slice(&(key.len() as u32).to_be_bytes());
    full.extend_from_slice(key);
    full.extend_from_slice(&number.to_be_bytes());
    full
}
