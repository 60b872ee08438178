//! Removal of items that all listeners have processed, and how far listeners are behind.

use std::sync::Arc;

use perper_proto::v1;
use perper_store::Space;
use prost::Message;

use super::record::{MarkRecord, Part, item_key, key};
use super::table::{Head, Slot, Totals};
use super::{Changes, Streams, Unpublished};

impl Streams {
    /// Removes the batches of an ephemeral stream that every listener has acknowledged.
    ///
    /// The batches go in the same write that moves the mark, and listeners change under the same lock: nobody attaches
    /// under a removal.
    pub(super) fn clean(&mut self, number: u64, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.get_mut(number).filter(|slot| !slot.options.persistent) else { return };
        let Some(low) = slot.listeners.values().map(|listener| listener.acknowledged).min().flatten() else {
            return;
        };
        // A listener may wait for a key that is still to come.
        let Some(last_key) = slot.last_key else { return };
        let low = low.min(last_key);
        if Some(low) <= slot.removed_through {
            return;
        }
        let recent = slot.tail.range(..=low).next_back().map(|(last_key, _)| *last_key);
        let recent = recent.filter(|recent| Some(*recent) > slot.removed_through);
        let through = match recent {
            Some(recent) if Some(recent) > slot.evicted_through => recent,
            // Some that are not in the tail may end at or below the mark; how many, the store need not be asked.
            _ if slot.evicted_through > slot.removed_through => low,
            // The mark is within the first batch kept.
            Some(_) | None => return,
        };
        let start = slot.removed_through.map_or(i64::MIN, |removed| removed + 1);
        let end = through.saturating_add(1);
        changes.batch.delete_range(Space::Items, &item_key(number, start), &item_key(number, end));
        let record = MarkRecord::new(through, last_key, slot.written);
        changes.batch.put(Space::Streams, &key(number, Part::Mark), record.encode_to_vec().into());
        slot.removed_through = Some(through);
        self.tail.remove_through(slot, through);
        slot.head = head_in_memory(slot);
    }

    /// Where the items that are kept begin.
    pub(super) fn head(&mut self, number: u64) -> Result<Head, v1::Error> {
        let Some(slot) = self.table.get(number) else {
            return Ok(Head { first_key: None, removed: Totals::default() });
        };
        if let Some(head) = slot.head {
            return Ok(head);
        }
        let from = slot.removed_through.map_or(i64::MIN, |removed| removed.saturating_add(1));
        let head = match self.batch_from(slot, from)? {
            Some(batch) => Head { first_key: Some(batch.first_key), removed: batch.before },
            None => Head { first_key: None, removed: slot.written },
        };
        if let Some(slot) = self.table.get_mut(number) {
            slot.head = Some(head);
        }
        Ok(head)
    }

    /// Items that the slowest listener has not acknowledged.
    pub(super) fn unread(&mut self, number: u64) -> Result<u64, v1::Error> {
        let Some(slot) = self.table.get(number) else { return Ok(0) };
        let mut slowest = slot.written.items;
        let mut found = Vec::new();
        for (id, listener) in &slot.listeners {
            let position = match listener.position {
                Some(position) => position,
                None => match self.position(slot, listener.acknowledged)? {
                    Position::Final(position) => {
                        found.push((Arc::clone(id), position));
                        position
                    }
                    Position::Passing(position) => position,
                },
            };
            slowest = slowest.min(position);
        }
        let unread = slot.written.items - slowest;
        for (id, position) in found {
            let slot = self.table.get_mut(number);
            if let Some(listener) = slot.and_then(|slot| slot.listeners.get_mut(&id)) {
                listener.position = Some(position);
            }
        }
        Ok(unread)
    }

    /// How many of the stream's items are at or below a key.
    fn position(&self, slot: &Slot, key: Option<i64>) -> Result<Position, v1::Error> {
        let Some(key) = key else { return Ok(Position::Final(0)) };
        if let Some(packed) = &slot.packed {
            return Ok(match packed.place_through(key) {
                Some(place) if place < packed.runs.first_gap() => Position::Final(place + 1),
                Some(place) => Position::Passing(packed.runs.count_through(place)),
                None => Position::Final(0),
            });
        }
        if Some(key) >= slot.last_key {
            return Ok(Position::Passing(slot.written.items));
        }
        let batch = self.batch_from(slot, key + 1)?;
        Ok(Position::Final(batch.map_or(slot.written.items, |batch| {
            batch.before.items + u64::from(batch.items_below(key + 1, slot.step()))
        })))
    }
}

/// How many items are at or below a key.
enum Position {
    /// And there will never be more.
    Final(u64),
    /// For now.
    Passing(u64),
}

/// Where the items that are kept begin, if that is known without asking the store.
pub(super) fn head_in_memory(slot: &Slot) -> Option<Head> {
    if let Some(packed) = &slot.packed {
        // Batches of a packed stream are not stored in the order in which they were written, so their totals do not
        // tell what was removed; the runs do, and bytes by the average.
        let place = slot.removed_through.and_then(|key| packed.place_through(key));
        let items = slot.written.items.saturating_sub(packed.runs.count_after(place));
        let bytes =
            u128::from(slot.written.bytes) * u128::from(items) / u128::from(slot.written.items.max(1));
        let next = place.map_or(0, |place| place.saturating_add(1));
        let first_kept = packed.runs.first_written(next, u64::MAX);
        return Some(Head {
            first_key: first_kept.and_then(|place| packed.key(place)),
            removed: Totals { items, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) },
        });
    }
    if slot.evicted_through > slot.removed_through {
        return None;
    }
    Some(match slot.tail.first_key_value() {
        Some((_, batch)) => Head { first_key: Some(batch.first_key), removed: batch.before },
        None => Head { first_key: None, removed: slot.written },
    })
}
