use bytes::{Bytes, BytesMut};
use perper_proto::{Reason, v1};
use prost::Message;

use super::record::BatchHeader;
use super::table::Totals;

/// A batch of items as it is stored and forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) first_key: i64,
    pub(super) last_key: i64,
    pub(super) count: u32,
    /// As `ItemBatch.key_deltas`: empty unless the keys are at uneven distances.
    pub(super) key_deltas: Box<[i64]>,
    /// What was written to the stream before this batch.
    pub(super) before: Totals,
    /// As `ItemBatch.values`.
    pub(super) values: Bytes,
}

impl Batch {
    /// What was written to the stream up to the end of this batch.
    pub(super) fn after(&self) -> Totals {
        self.before.plus(u64::from(self.count), self.values.len())
    }

    /// The form in the store: a header, then the values as they came. Leaves the batch with the values of that form, so
    /// that the store and the tail cache share them, and the buffer that they arrived in is let go.
    pub(super) fn store(&mut self) -> Bytes {
        let header = BatchHeader {
            count: self.count,
            first_key: self.first_key,
            key_deltas: self.key_deltas.to_vec(),
            items_before: self.before.items,
            bytes_before: self.before.bytes,
        };
        let length = header.encoded_len();
        let length = length + prost::length_delimiter_len(length);
        let mut bytes = BytesMut::with_capacity(length + self.values.len());
        // Encoding fails for want of room only, and there is room.
        let _ = header.encode_length_delimited(&mut bytes);
        bytes.extend_from_slice(&self.values);
        let bytes = bytes.freeze();
        self.values = bytes.slice(length..);
        bytes
    }

    /// Reads what [`store`](Batch::store) made.
    pub(super) fn read(last_key: i64, mut bytes: Bytes) -> Option<Self> {
        let header = BatchHeader::decode_length_delimited(&mut bytes).ok()?;
        Some(Self {
            first_key: header.first_key,
            last_key,
            count: header.count,
            key_deltas: header.key_deltas.into(),
            before: Totals { items: header.items_before, bytes: header.bytes_before },
            values: bytes,
        })
    }

    /// Items whose keys are below `key`. `step` is the distance of even keys.
    pub(super) fn items_below(&self, key: i64, step: u64) -> u32 {
        if key <= self.first_key {
            return 0;
        }
        if key > self.last_key {
            return self.count;
        }
        if self.key_deltas.is_empty() {
            return key.abs_diff(self.first_key).div_ceil(step) as u32;
        }
        self.keys(step).take_while(|next| *next < key).count() as u32
    }

    /// The keys of the items.
    pub(super) fn keys(&self, step: u64) -> impl Iterator<Item = i64> {
        let mut even =
            (0..u64::from(self.count)).map(move |at| self.first_key.wrapping_add((at * step) as i64));
        let mut deltas = self.key_deltas.iter();
        let mut key = 0i64;
        let uneven = !self.key_deltas.is_empty();
        std::iter::from_fn(move || {
            if !uneven {
                return even.next();
            }
            key = key.wrapping_add(*deltas.next()?);
            Some(key)
        })
    }

    /// The items from `skip` on, `take` of them, in the form of the protocol. The values are shared.
    pub(super) fn part(&self, skip: u32, take: u32, step: u64) -> v1::ItemBatch {
        let mut rest = &self.values[..];
        let start = skip_items(&mut rest, skip);
        let end =
            if skip + take == self.count { self.values.len() } else { start + skip_items(&mut rest, take) };
        let mut batch = v1::ItemBatch {
            count: take,
            first_key: None,
            key_deltas: Vec::new(),
            values: self.values.slice(start..end),
        };
        if self.key_deltas.is_empty() {
            batch.first_key = Some(self.first_key.wrapping_add((u64::from(skip) * step) as i64));
        } else {
            let (skip, take) = (skip as usize, take as usize);
            batch.key_deltas = self.key_deltas[skip..skip + take].to_vec();
            if let Some(first) = batch.key_deltas.first_mut().filter(|_| skip > 0) {
                *first = self.key_deltas[..=skip].iter().fold(0, |key, delta| key.wrapping_add(*delta));
            }
        }
        batch
    }

    /// Bytes of the values from item `skip` on.
    pub(super) fn bytes_from(&self, skip: u32) -> usize {
        if skip == 0 {
            return self.values.len();
        }
        let mut rest = &self.values[..];
        self.values.len() - skip_items(&mut rest, skip)
    }

    /// How many items from `skip` on are within so many bytes.
    pub(super) fn items_within(&self, skip: u32, bytes: u64) -> u32 {
        let mut rest = &self.values[..];
        skip_items(&mut rest, skip);
        let mut left = bytes;
        let mut items = 0;
        while skip + items < self.count {
            let length = skip_items(&mut rest, 1) as u64;
            if length > left {
                break;
            }
            left -= length;
            items += 1;
        }
        items
    }
}

/// The values one by one.
pub(super) fn values(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = read_length(&mut rest)?;
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(value)
    })
}

/// Checks that `values` are `count` values of at most `limit` bytes, and nothing else.
pub(super) fn check_values(count: u32, values: &[u8], limit: u64) -> Result<(), v1::Error> {
    let mut rest = values;
    for at in 0..count {
        let length = read_length(&mut rest);
        let Some(length) = length.filter(|length| *length <= rest.len()) else {
            return Err(Reason::InvalidArgument
                .error(format!(
                    "the batch says that it has {count} items, but its values end, or are not a length and so many \
                     bytes, at item {at}"
                ))
                .with("item", at));
        };
        if length as u64 > limit {
            return Err(Reason::LimitExceeded
                .error(format!(
                    "item {at} of the batch has {length} bytes, the limit is {limit}; split it, or store it elsewhere \
                     and send a reference"
                ))
                .with("item", at)
                .with("bytes", length)
                .with("limit", limit));
        }
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        return Err(Reason::InvalidArgument.error(format!(
            "the batch says that it has {count} items, but {} bytes follow after them",
            rest.len()
        )));
    }
    Ok(())
}

/// Passes over items that are known to be well-formed; answers the bytes they take.
fn skip_items(rest: &mut &[u8], count: u32) -> usize {
    let before = rest.len();
    for _ in 0..count {
        let length = read_length(rest).unwrap_or_default();
        *rest = rest.get(length..).unwrap_or_default();
    }
    before - rest.len()
}

/// A base-128 varint of at most 32 bits.
fn read_length(rest: &mut &[u8]) -> Option<usize> {
    let (&first, mut after) = rest.split_first()?;
    let mut length = u64::from(first & 0x7f);
    let mut last = first;
    let mut shift = 7;
    while last & 0x80 != 0 {
        if shift > 28 {
            return None;
        }
        (last, after) = after.split_first().map(|(byte, after)| (*byte, after))?;
        length |= u64::from(last & 0x7f) << shift;
        shift += 7;
    }
    *rest = after;
    u32::try_from(length).ok().map(|length| length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[&[u8]]) -> Bytes {
        let mut bytes = Vec::new();
        for value in values {
            prost::encode_length_delimiter(value.len(), &mut bytes).unwrap();
            bytes.extend_from_slice(value);
        }
        bytes.into()
    }

    fn batch(key_deltas: &[i64]) -> Batch {
        let values = encoded(&[b"a", &[7; 300], b"", b"dd"]);
        Batch {
            first_key: 10,
            last_key: 16,
            count: 4,
            key_deltas: key_deltas.into(),
            before: Totals { items: 5, bytes: 50 },
            values,
        }
    }

    #[test]
    fn framing_is_checked() {
        let good = encoded(&[b"a", &[7; 300], b""]);
        assert_eq!(check_values(3, &good, 300), Ok(()));
        let reason = |count, values: &[u8], limit| check_values(count, values, limit).unwrap_err().reason;
        assert_eq!(reason(2, &good, 300), "INVALID_ARGUMENT");
        assert_eq!(reason(4, &good, 300), "INVALID_ARGUMENT");
        assert_eq!(reason(3, &good, 299), "LIMIT_EXCEEDED");
        assert_eq!(reason(1, &[0x80], 300), "INVALID_ARGUMENT");
        assert_eq!(reason(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 300), "INVALID_ARGUMENT");
        assert_eq!(reason(1, &[5, 1], 300), "INVALID_ARGUMENT");
    }

    #[test]
    fn a_batch_survives_the_store() {
        for deltas in [&[][..], &[10, 1, 2, 3]] {
            let mut batch = batch(deltas);
            let stored = batch.store();
            assert_eq!(Batch::read(16, stored), Some(batch));
        }
    }

    #[test]
    fn parts_have_their_keys_and_values() {
        let even = batch(&[]);
        assert_eq!(even.keys(2).collect::<Vec<_>>(), [10, 12, 14, 16]);
        let part = even.part(1, 2, 2);
        assert_eq!((part.count, part.first_key, part.key_deltas), (2, Some(12), vec![]));
        assert_eq!(part.values, encoded(&[&[7; 300], b""]));
        assert_eq!((even.items_below(12, 2), even.items_below(13, 2), even.items_below(99, 2)), (1, 2, 4));
        let uneven = batch(&[10, 1, 2, 3]);
        assert_eq!(uneven.keys(1).collect::<Vec<_>>(), [10, 11, 13, 16]);
        let part = uneven.part(2, 2, 1);
        assert_eq!((part.first_key, part.key_deltas), (None, vec![13, 3]));
        assert_eq!(part.values, encoded(&[b"", b"dd"]));
        assert_eq!((uneven.items_below(11, 1), uneven.items_below(12, 1)), (1, 2));
        assert_eq!((even.items_within(0, 1), even.items_within(0, 2), even.items_within(0, 303)), (0, 1, 1));
        assert_eq!((even.items_within(1, 303), even.bytes_from(2)), (2, 4));
    }
}
