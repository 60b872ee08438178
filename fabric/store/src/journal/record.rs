//! A record: one group of batches, whole or not at all.
//!
//! ```text
//! length     8 bytes, of the operations
//! checksum   8 bytes, over the generation of the file and the operations
//! operations each: kind 1, space 1, length of the key 2, length of the value 4, key, value
//! ```
//!
//! Numbers are little-endian. The value of a range delete is the key at which it ends.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Error, ErrorKind, Op, Result, Space, Value, WriteBatch};

/// What stands before the operations.
pub(crate) const HEADER_BYTES: usize = 16;

const OP_HEADER_BYTES: usize = 8;

/// Room that is kept from one record to the next.
const KEPT_BYTES: usize = 4 << 20;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;

/// Puts a group into `record`, which is empty afterwards if the group is.
pub(crate) fn encode(record: &mut Vec<u8>, generation: u64, group: &[WriteBatch]) {
    record.clear();
    let ops: usize = group.iter().map(WriteBatch::len).sum();
    if ops == 0 {
        return;
    }
    let bytes: usize = group.iter().map(WriteBatch::size).sum();
    record.reserve(HEADER_BYTES + ops * OP_HEADER_BYTES + bytes);
    record.resize(HEADER_BYTES, 0);
    for op in group.iter().flat_map(WriteBatch::iter) {
        match op {
            Op::Put { space, key, value, .. } => push(record, PUT, space, key, value.as_slice()),
            Op::Delete { space, key } => push(record, DELETE, space, key, &[]),
            Op::DeleteRange { space, start, end } => push(record, DELETE_RANGE, space, start, end),
        }
    }
    let length = (record.len() - HEADER_BYTES) as u64;
    let checksum = xxh3_64_with_seed(&record[HEADER_BYTES..], generation);
    record[..8].copy_from_slice(&length.to_le_bytes());
    record[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// Gives back the room of an unusually large record.
pub(super) fn shrink(record: &mut Vec<u8>) {
    if record.capacity() > KEPT_BYTES {
        record.clear();
        record.shrink_to(KEPT_BYTES);
    }
}

// The limits of a batch keep keys within 16 bits and values within 32.
fn push(record: &mut Vec<u8>, kind: u8, space: Space, key: &[u8], value: &[u8]) {
    record.push(kind);
    record.push(space.number());
    record.extend_from_slice(&(key.len() as u16).to_le_bytes());
    record.extend_from_slice(&(value.len() as u32).to_le_bytes());
    record.extend_from_slice(key);
    record.extend_from_slice(value);
}

/// The length and the checksum that a header tells.
pub(crate) fn header(header: [u8; HEADER_BYTES]) -> (u64, u64) {
    let number = u128::from_le_bytes(header);
    (number as u64, (number >> 64) as u64)
}

/// A record that was read, its checksum found right.
#[derive(Debug)]
pub(crate) struct Record {
    ops: Vec<u8>,
}

impl Record {
    /// The record with these operations, if the checksum is right.
    pub(crate) fn check(ops: Vec<u8>, generation: u64, checksum: u64) -> Option<Self> {
        (xxh3_64_with_seed(&ops, generation) == checksum).then_some(Self { ops })
    }

    /// The operations.
    pub(crate) fn ops(&self) -> Ops<'_> {
        Ops { rest: &self.ops }
    }

    /// The bytes of the same record in another file: the checksum is over what that has for a generation.
    pub(crate) fn renumbered(&self, generation: u64) -> Vec<u8> {
        let mut record = Vec::with_capacity(HEADER_BYTES + self.ops.len());
        record.extend_from_slice(&(self.ops.len() as u64).to_le_bytes());
        record.extend_from_slice(&xxh3_64_with_seed(&self.ops, generation).to_le_bytes());
        record.extend_from_slice(&self.ops);
        record
    }
}

/// Operations, one after the other.
pub(crate) struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Ops<'a> {
    fn read(&mut self) -> Option<Op<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<OP_HEADER_BYTES>()?;
        let [kind, space, k0, k1, v0, v1, v2, v3] = *header;
        let (key, rest) = rest.split_at_checked(u16::from_le_bytes([k0, k1]).into())?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
        let space = Space::from_number(space)?;
        self.rest = rest;
        match kind {
            PUT => Some(Op::Put { space, key, value: Value::Copied(value), new: false }),
            DELETE => Some(Op::Delete { space, key }),
            DELETE_RANGE => Some(Op::DeleteRange { space, start: key, end: value }),
            _ => None,
        }
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<Op<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().ok_or_else(|| {
            self.rest = &[];
            let message =
                "the journal is corrupt: a record with the right checksum holds an unknown operation";
            Error::new(ErrorKind::Corrupt, message)
        }))
    }
}
