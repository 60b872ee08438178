//! How streams stand in the store.
//!
//! * Space `Streams`, key (number, part): what changes rarely. No part is written for each batch.
//! * Space `Items`, key (number, last key of the batch): one entry for each batch. By the last key, because then the
//!   first entry from a key on is the batch that holds it, and the entries up to a key are the batches that it ends.
//! * Space `Listeners`, key (number, listener).

use perper_proto::v1;
use prost::Message;

use super::table::Totals;
use crate::engine::SessionId;

/// What a key of space `Streams` holds. Numbers are on disk, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// The stream as it was created and started.
    Created = 0,
    /// What clean-up has removed, and where the stream was then.
    Mark = 1,
    /// Its end.
    End = 2,
    /// Present once it has had a listener.
    Listened = 3,
    /// With (session, writer) behind it: a writer that is closed.
    ClosedWriter = 4,
}

pub(super) fn key(number: u64, part: Part) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8] = part as u8;
    key
}

pub(super) fn closed_writer_key(number: u64, session: SessionId, writer: u64) -> [u8; 33] {
    let mut bytes = [0; 33];
    bytes[..9].copy_from_slice(&key(number, Part::ClosedWriter));
    bytes[9..25].copy_from_slice(&session.to_bytes());
    bytes[25..].copy_from_slice(&writer.to_be_bytes());
    bytes
}

/// A key of space `Streams`: the stream's number, the part, and what stands behind it.
pub(super) fn read_key(key: &[u8]) -> Option<(u64, Part, &[u8])> {
    let (number, rest) = key.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_first()?;
    let part = [Part::Created, Part::Mark, Part::End, Part::Listened, Part::ClosedWriter]
        .into_iter()
        .find(|known| *known as u8 == *part)?;
    Some((u64::from_be_bytes(*number), part, rest))
}

pub(super) fn read_closed_writer(rest: &[u8]) -> Option<(SessionId, u64)> {
    let (session, writer) = rest.split_first_chunk::<16>()?;
    Some((SessionId::from_bytes(session)?, u64::from_be_bytes(writer.try_into().ok()?)))
}

/// The key of a batch. The sign bit is flipped, so that negative keys come first.
pub(super) fn item_key(number: u64, last_key: i64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(&(last_key as u64 ^ (1 << 63)).to_be_bytes());
    key
}

/// The last key of a batch, from the batch's key.
pub(super) fn read_item_key(key: &[u8]) -> Option<i64> {
    let (_, last_key) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(last_key.try_into().ok()?) ^ (1 << 63)) as i64)
}

pub(super) fn listener_key(number: u64, listener: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + listener.len());
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(listener.as_bytes());
    key
}

pub(super) fn read_listener_key(key: &[u8]) -> Option<(u64, &str)> {
    let (number, listener) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), std::str::from_utf8(listener).ok()?))
}

/// The first keys of a stream and of the one after it, in every space.
pub(super) fn bounds(number: u64) -> ([u8; 8], [u8; 8]) {
    (number.to_be_bytes(), (number + 1).to_be_bytes())
}

/// The stream as it was created and started.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamRecord {
    #[prost(message, optional, tag = "1")]
    pub(super) request: Option<v1::CreateStreamRequest>,
}

/// Where clean-up is. With all items removed, this alone tells where the stream goes on.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MarkRecord {
    /// Batches that end at or below this key are gone.
    #[prost(sint64, tag = "1")]
    pub(super) removed_through: i64,
    #[prost(sint64, tag = "2")]
    pub(super) last_key: i64,
    #[prost(uint64, tag = "3")]
    items: u64,
    #[prost(uint64, tag = "4")]
    bytes: u64,
}

impl MarkRecord {
    pub(super) fn new(removed_through: i64, last_key: i64, written: Totals) -> Self {
        Self { removed_through, last_key, items: written.items, bytes: written.bytes }
    }

    pub(super) fn written(&self) -> Totals {
        Totals { items: self.items, bytes: self.bytes }
    }
}

/// The end of a stream.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndRecord {
    #[prost(message, optional, tag = "1")]
    pub(super) end: Option<v1::StreamEnd>,
}

/// A listener.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListenerRecord {
    #[prost(bool, tag = "1")]
    pub(super) named: bool,
    #[prost(string, tag = "2")]
    pub(super) owner: String,
    /// Of an unnamed one: under whose lease it is.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) session: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub(super) epoch: u64,
    #[prost(sint64, optional, tag = "5")]
    pub(super) acknowledged: Option<i64>,
}

/// What stands in front of the values of a batch.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BatchHeader {
    #[prost(uint32, tag = "1")]
    pub(super) count: u32,
    #[prost(sint64, tag = "2")]
    pub(super) first_key: i64,
    /// As `ItemBatch.key_deltas`.
    #[prost(sint64, repeated, tag = "3")]
    pub(super) key_deltas: Vec<i64>,
    /// Items and bytes written to the stream before this batch.
    #[prost(uint64, tag = "4")]
    pub(super) items_before: u64,
    #[prost(uint64, tag = "5")]
    pub(super) bytes_before: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_batches_are_in_order_of_items() {
        let keys = [i64::MIN, -1, 0, 1, i64::MAX];
        let encoded: Vec<_> = keys.iter().map(|key| item_key(7, *key)).collect();
        assert!(encoded.is_sorted());
        for (key, encoded) in keys.iter().zip(&encoded) {
            assert_eq!(read_item_key(encoded), Some(*key));
        }
    }

    #[test]
    fn keys_lead_back() {
        let closed = closed_writer_key(3, SessionId(9), 4);
        let (number, part, rest) = read_key(&closed).unwrap();
        assert_eq!(
            (number, part, read_closed_writer(rest)),
            (3, Part::ClosedWriter, Some((SessionId(9), 4)))
        );
        assert_eq!(read_listener_key(&listener_key(3, "name")), Some((3, "name")));
    }
}
