//! How dictionaries and lists stand in the store, each kind in a space of its own.
//!
//! | key | value |
//! | --- | --- |
//! | `0` part number | what `part` says of an object or of contents; see [`Part`] |
//! | contents-number rest | an entry or an element |
//!
//! Numbers are 8 bytes, big-endian, from 1. Contents have a number apart from that of their object: to clear is to take
//! a new one, and what is under the old one is removed later. All that a start has to read lies together, at 0.

use bytes::Bytes;
use perper_store::KeyRange;
use prost::Message;

/// What a key at number 0 holds. Numbers are on disk, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// By object: what it was created with.
    Created = 0,
    /// By object: its contents as a whole.
    Contents = 1,
    /// By contents: they belong to no object any more, and are to be removed.
    Discarded = 2,
    /// By contents and chunk: the order of a list's elements.
    Chunk = 3,
}

/// What an object was created with.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CreatedRecord {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// Empty for a detached one.
    #[prost(string, tag = "2")]
    pub(super) owner: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) indexed_fields: Vec<String>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) capability: Bytes,
}

/// The contents of an object as a whole.
#[derive(Clone, PartialEq, Message)]
pub(in crate::engine::embedded) struct ContentsRecord {
    /// The number of the contents.
    #[prost(uint64, tag = "1")]
    pub(in crate::engine::embedded) number: u64,
    /// Entries or elements.
    #[prost(uint64, tag = "2")]
    pub(in crate::engine::embedded) count: u64,
    /// (Of a list:) the first chunk; 0 if there is none.
    #[prost(uint64, tag = "3")]
    pub(in crate::engine::embedded) first_chunk: u64,
    /// (Of a list:) the position of the first element.
    #[prost(sint64, tag = "4")]
    pub(in crate::engine::embedded) origin: i64,
}

pub(super) fn key(part: Part, number: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[8] = part as u8;
    key[9..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of a chunk of a list's contents.
pub(in crate::engine::embedded) fn chunk_key(contents: u64, chunk: u64) -> [u8; 25] {
    let mut bytes = [0; 25];
    bytes[..17].copy_from_slice(&key(Part::Chunk, contents));
    bytes[17..].copy_from_slice(&chunk.to_be_bytes());
    bytes
}

/// The key of an entry or an element.
pub(in crate::engine::embedded) fn entry_key(contents: u64, rest: &[u8]) -> Bytes {
    [&contents.to_be_bytes()[..], rest].concat().into()
}

/// A key at number 0: part, number, and the chunk where there is one.
pub(super) fn read_key(key: &[u8]) -> Option<(Part, u64, Option<u64>)> {
    let (zero, rest) = key.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let part = [Part::Created, Part::Contents, Part::Discarded, Part::Chunk]
        .into_iter()
        .find(|known| *known as u8 == *part)?;
    let chunk = match (part, rest) {
        (Part::Chunk, chunk) => Some(u64::from_be_bytes(chunk.try_into().ok()?)),
        (_, []) => None,
        _ => return None,
    };
    (*zero == [0; 8]).then_some((part, u64::from_be_bytes(*number), chunk))
}

/// Where everything is that belongs to contents.
pub(super) fn ranges(contents: u64) -> [KeyRange; 2] {
    [KeyRange::prefix(&contents.to_be_bytes()), KeyRange::prefix(&key(Part::Chunk, contents))]
}

/// Where everything is that a start reads.
pub(super) fn start_range() -> KeyRange {
    KeyRange::prefix(&[0; 8])
}
