use std::collections::VecDeque;

use super::batch::Batch;
use super::table::{Slot, Table};

/// What a batch in the tail costs beside its values: its entry in the map and in the queue.
const OVERHEAD: usize = 192;

/// Keeps account of the batches in the tails of all streams, and lets the oldest go when they are too many.
///
/// The batches themselves stand with their stream. A listener that keeps up finds everything there; a slow one reads
/// the store, and costs no memory.
pub(super) struct TailCache {
    limit: usize,
    bytes: usize,
    /// Batches in the order in which they were written: stream and last key. Some may be gone already.
    queue: VecDeque<(u64, i64)>,
    /// Entries of the queue that are not gone.
    live: usize,
}

impl TailCache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, queue: VecDeque::new(), live: 0 }
    }

    pub(super) fn add(&mut self, slot: &mut Slot, batch: Batch) {
        self.bytes += cost(&batch);
        self.live += 1;
        self.queue.push_back((slot.number, batch.last_key));
        slot.tail.insert(batch.last_key, batch);
    }

    /// Drops batches of a stream up to a key.
    pub(super) fn remove_through(&mut self, slot: &mut Slot, key: i64) {
        let kept = match key.checked_add(1) {
            Some(next) => slot.tail.split_off(&next),
            None => Default::default(),
        };
        for batch in std::mem::replace(&mut slot.tail, kept).values() {
            self.forget(batch);
        }
    }

    fn forget(&mut self, batch: &Batch) {
        self.bytes -= cost(batch);
        self.live -= 1;
    }

    /// Lets batches go until the bound is kept. Those that are not durable yet stay: nobody else has them.
    pub(super) fn shrink(&mut self, table: &mut Table) {
        while self.bytes > self.limit {
            let Some((number, last_key)) = self.queue.front().copied() else { break };
            if let Some(slot) = table.get_mut(number)
                && let Some(batch) = slot.tail.get(&last_key)
            {
                if batch.after().items > slot.committed_items {
                    break;
                }
                self.forget(batch);
                slot.tail.remove(&last_key);
                slot.evicted_through = slot.evicted_through.max(Some(last_key));
            }
            self.queue.pop_front();
        }
        // Behind an old batch of a quiet stream, entries of batches that clean-up has removed would pile up.
        if self.queue.len() > 2 * self.live + 1024 {
            self.queue.retain(|(number, last_key)| {
                table.get(*number).is_some_and(|slot| slot.tail.contains_key(last_key))
            });
        }
    }
}

fn cost(batch: &Batch) -> usize {
    OVERHEAD + batch.values.len() + batch.key_deltas.len() * size_of::<i64>()
}
