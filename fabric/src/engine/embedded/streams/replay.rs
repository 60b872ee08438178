//! A generator that begins anew writes what its predecessor wrote: equal items at existing keys change nothing.

use bytes::Bytes;
use perper_proto::v1;
use perper_store::{Direction, KeyRange, Space};

use super::batch::{Batch, values};
use super::keys::Keys;
use super::record::{item_key, read_item_key};
use super::table::Slot;
use super::write::Refusal;
use super::{Streams, storage_failed};

impl Streams {
    /// What of a batch is new, in order; an error if an item at an existing key differs from the one there.
    pub(super) fn replay(&self, number: u64, keys: &Keys, batch: &Batch) -> Result<Vec<Batch>, Refusal> {
        let Some(slot) = self.table.get(number) else { return Ok(Vec::new()) };
        let step = slot.step();
        let new = match &slot.packed {
            Some(packed) => {
                let (first, last) = packed.places(&slot.id, keys).map_err(Refusal::Rejected)?;
                let runs = packed.runs.missing(first, last).into_iter();
                runs.map(|(start, end)| ((start - first) as u32, (end - start + 1) as u32)).collect()
            }
            None => {
                let old = slot.last_key.map_or(0, |last_key| batch.items_below(last_key + 1, step));
                if old < batch.count { vec![(old, batch.count - old)] } else { Vec::new() }
            }
        };
        self.compare(slot, batch, &new)?;
        Ok(new.into_iter().map(|(skip, take)| part(batch, skip, take, step)).collect())
    }

    /// Compares the items of a batch with those at their keys, except the `new` ones: (skip, take).
    fn compare(&self, slot: &Slot, batch: &Batch, new: &[(u32, u32)]) -> Result<(), Refusal> {
        let replay_through = slot.generator.as_ref().and_then(|generator| generator.replay_through);
        // The stored batch that the last item was in.
        let mut existing: Vec<(i64, Bytes)> = Vec::new();
        let mut at = 0;
        for (index, (key, value)) in batch.keys(slot.step()).zip(values(&batch.values)).enumerate() {
            let index = index as u32;
            if new.iter().any(|(skip, take)| (*skip..*skip + *take).contains(&index)) {
                continue;
            }
            if slot.packed.is_none() && Some(key) > replay_through {
                let last_key = slot.last_key.unwrap_or_default();
                return Err(Refusal::Rejected(slot.not_increasing(key, last_key)));
            }
            if Some(key) <= slot.removed_through {
                // Its listeners have processed it, so there is nothing left to compare it with.
                continue;
            }
            if existing.last().is_none_or(|(last, _)| *last < key) {
                let found = self.batch_from(slot, key).map_err(Refusal::Refused)?;
                existing = found.map(|found| items(&found, slot.step())).unwrap_or_default();
                at = 0;
            }
            at += existing[at..].partition_point(|(existing, _)| *existing < key);
            match existing.get(at).filter(|(existing, _)| *existing == key) {
                Some((_, existing)) if existing == value => {}
                Some(_) => return Err(Refusal::Rejected(slot.exists(key))),
                None => {
                    let last_key = slot.last_key.unwrap_or_default();
                    return Err(Refusal::Rejected(slot.not_increasing(key, last_key)));
                }
            }
        }
        Ok(())
    }

    /// The first batch that ends at or after a key.
    pub(super) fn batch_from(&self, slot: &Slot, key: i64) -> Result<Option<Batch>, v1::Error> {
        let recent = slot.tail.range(key..).next().map(|(_, batch)| batch);
        let Some(evicted_through) = slot.evicted_through.filter(|evicted| *evicted >= key) else {
            return Ok(recent.cloned());
        };
        let range = KeyRange::new(item_key(slot.number, key)..=item_key(slot.number, evicted_through));
        let entry = self.store.range(Space::Items, range, Direction::Forward).next().transpose();
        let stored = match entry.map_err(|error| storage_failed(&error))? {
            Some((key, value)) => read_entry(&key, value)?,
            None => return Ok(recent.cloned()),
        };
        Ok(Some(recent.filter(|recent| recent.last_key <= stored.last_key).cloned().unwrap_or(stored)))
    }
}

/// A batch from its entry in the store.
pub(super) fn read_entry(key: &[u8], value: Bytes) -> Result<Batch, v1::Error> {
    let batch = read_item_key(key).and_then(|last_key| Batch::read(last_key, value));
    batch.ok_or_else(|| {
        let message = format!("the batch at key {key:02x?} cannot be read");
        storage_failed(&perper_store::Error::new(perper_store::ErrorKind::Corrupt, message))
    })
}

fn items(batch: &Batch, step: u64) -> Vec<(i64, Bytes)> {
    let values = values(&batch.values).map(|value| batch.values.slice_ref(value));
    batch.keys(step).zip(values).collect()
}

/// A part of a batch, as a batch of its own.
fn part(batch: &Batch, skip: u32, take: u32, step: u64) -> Batch {
    let part = batch.part(skip, take, step);
    let first_key = part.first_key.or(part.key_deltas.first().copied()).unwrap_or(batch.first_key);
    let last_key = match part.key_deltas.is_empty() {
        true => first_key.wrapping_add((u64::from(take - 1) * step) as i64),
        false => part.key_deltas.iter().sum(),
    };
    Batch {
        first_key,
        last_key,
        count: take,
        key_deltas: part.key_deltas.into(),
        before: batch.before,
        values: part.values,
    }
}
