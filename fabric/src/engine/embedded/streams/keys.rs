//! Which keys the items of a batch get, and whether they may.

use perper_proto::{Reason, v1};

use super::table::{Packed, Slot};

/// The keys of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) first_key: i64,
    pub(super) last_key: i64,
    /// Empty if they are at even distances.
    pub(super) key_deltas: Vec<i64>,
    /// The writer chose them.
    pub(super) chosen: bool,
}

impl Slot {
    /// The keys of a batch, well-formed and increasing in themselves. Whether the stream has room for them is to be
    /// checked after. `ticks` is the time.
    pub(super) fn keys(&self, batch: &v1::ItemBatch, ticks: impl FnOnce() -> i64) -> Result<Keys, v1::Error> {
        let span = (u64::from(batch.count) - 1).saturating_mul(self.step());
        let chosen = batch.first_key.is_some() || !batch.key_deltas.is_empty();
        if !batch.key_deltas.is_empty() {
            return self.uneven_keys(batch);
        }
        let first_key = match (batch.first_key, &self.packed) {
            (Some(key), _) => Some(key),
            (None, Some(packed)) => match packed.runs.highest() {
                Some(highest) => highest.checked_add(1).and_then(|place| packed.key(place)),
                None => Some(packed.first_key),
            },
            (None, None) => match self.last_key {
                Some(last_key) => last_key.checked_add(1).map(|next| next.max(ticks())),
                None => Some(ticks()),
            },
        };
        let last_key = first_key.and_then(|first_key| first_key.checked_add_unsigned(span));
        match (first_key, last_key.filter(|last_key| *last_key < i64::MAX)) {
            (Some(first_key), Some(last_key)) => {
                Ok(Keys { first_key, last_key, key_deltas: Vec::new(), chosen })
            }
            _ => Err(self.no_more_keys(first_key.or(self.last_key).unwrap_or_default(), batch.count)),
        }
    }

    fn uneven_keys(&self, batch: &v1::ItemBatch) -> Result<Keys, v1::Error> {
        let deltas = &batch.key_deltas;
        if self.packed.is_some() {
            return Err(Reason::InvalidArgument
                .error(format!(
                    "stream {:?} is packed: a batch is one run, given by first_key; key_deltas are for unpacked streams",
                    self.id
                ))
                .with("stream", &self.id));
        }
        if deltas.len() != batch.count as usize || batch.first_key.is_some_and(|key| key != deltas[0]) {
            return Err(Reason::InvalidArgument
                .error(format!(
                    "the batch for stream {:?} has {} items and {} key_deltas; give one for each item, the first \
                     counted from 0, and no first_key or the same one",
                    self.id,
                    batch.count,
                    deltas.len()
                ))
                .with("stream", &self.id));
        }
        let first_key = deltas[0];
        let mut last_key = first_key;
        let mut even = true;
        for delta in &deltas[1..] {
            let key = last_key.checked_add(*delta).filter(|key| *key < i64::MAX);
            let Some(key) = key else { return Err(self.no_more_keys(last_key, batch.count)) };
            if key <= last_key {
                return Err(self.not_increasing(key, last_key));
            }
            even &= *delta == 1;
            last_key = key;
        }
        if first_key == i64::MAX {
            return Err(self.no_more_keys(first_key, batch.count));
        }
        // Consecutive keys cost nothing to store when they are told by the first one.
        let key_deltas = if even { Vec::new() } else { deltas.clone() };
        Ok(Keys { first_key, last_key, key_deltas, chosen: true })
    }

    pub(super) fn not_increasing(&self, key: i64, last_key: i64) -> v1::Error {
        Reason::StreamKeyNotIncreasing
            .error(format!(
                "key {key} for stream {:?} is not larger than the one before it, {last_key}; keys of an unpacked \
                 stream must increase",
                self.id
            ))
            .with("stream", &self.id)
            .with("key", key)
            .with("last_key", last_key)
    }

    pub(super) fn exists(&self, key: i64) -> v1::Error {
        Reason::StreamKeyExists
            .error(format!("stream {:?} has another item at key {key}", self.id))
            .with("stream", &self.id)
            .with("key", key)
    }

    fn no_more_keys(&self, key: i64, count: u32) -> v1::Error {
        Reason::InvalidArgument
            .error(format!(
                "the batch for stream {:?} has {count} items and a key at {key}, and would go past the last key there \
                 is, {}",
                self.id,
                i64::MAX - 1
            ))
            .with("stream", &self.id)
            .with("key", key)
    }
}

impl Packed {
    /// The places of a run of keys.
    pub(super) fn places(&self, id: &str, keys: &Keys) -> Result<(u64, u64), v1::Error> {
        match (self.place(keys.first_key), self.place(keys.last_key)) {
            (Some(first), Some(last)) => Ok((first, last)),
            _ => Err(Reason::StreamKeyOffStride
                .error(format!(
                    "key {} is not one of stream {id:?}, whose keys are {} + n * {}",
                    keys.first_key, self.first_key, self.stride
                ))
                .with("stream", id)
                .with("key", keys.first_key)
                .with("first_key", self.first_key)
                .with("stride", self.stride)),
        }
    }
}
