//! Reading items: from the tail cache under the lock, or from the store without it.

use perper_store::{Direction, KeyRange, Space, Store};

use super::batch::Batch;
use super::record::item_key;
use super::replay::read_entry;
use super::table::{Packed, Slot};
use super::{Streams, storage_failed};
use crate::engine::embedded::shard::Guarded;
use crate::engine::{Items, ReadItems, Result, listener_removed, taken_over};

/// Items from a key on. Whoever keeps up is served from memory; whoever does not reads the store, outside the lock.
pub(in crate::engine::embedded) fn read_items(
    streams: &Guarded<Streams>,
    store: &dyn Store,
    request: &ReadItems,
) -> Result<Items> {
    let mut page = None;
    loop {
        match streams.with(|streams| streams.read_tail(request, &mut page))? {
            Next::Done(items) => return Ok(items),
            Next::Store { number, through } => {
                let Some(page) = &mut page else { continue };
                if page.read_store(store, number, through)? {
                    return Ok(std::mem::take(&mut page.items));
                }
            }
        }
    }
}

enum Next {
    Done(Items),
    /// What comes next is in the store alone, up to this key.
    Store {
        number: u64,
        through: i64,
    },
}

impl Streams {
    /// Reads on in the tail, if that is where the page goes on.
    fn read_tail(&self, request: &ReadItems, page: &mut Option<Page>) -> Result<Next> {
        let slot = self.table.find(&request.stream).ok_or_else(|| self.missing(&request.stream))?;
        if let Some((listener, epoch)) = &request.listener {
            match slot.listeners.get(listener) {
                None => return Err(listener_removed(&request.stream, listener)),
                Some(record) if record.epoch != *epoch => return Err(taken_over(&request.stream, listener)),
                Some(_) => {}
            }
        }
        let page = page.get_or_insert_with(|| Page::new(slot, request));
        page.visible = slot.committed_items;
        page.skips_gaps = slot.end_committed;
        if let Some(through) = slot.evicted_through.filter(|through| page.next <= *through) {
            return Ok(Next::Store { number: slot.number, through });
        }
        let all = slot.tail.range(page.next..).all(|(_, batch)| page.take(batch));
        if all && slot.end_committed {
            page.items.end = slot.end.as_deref().cloned();
        }
        Ok(Next::Done(std::mem::take(&mut page.items)))
    }
}

/// Items on their way to a reader.
struct Page {
    /// The first key that is still wanted.
    next: i64,
    step: u64,
    packed: bool,
    /// The stream has ended, so that nobody waits at its gaps.
    skips_gaps: bool,
    /// Only so many of the items ever written are durable.
    visible: u64,
    items_left: u64,
    bytes_left: u64,
    items: Items,
}

impl Page {
    fn new(slot: &Slot, request: &ReadItems) -> Self {
        let kept = slot.removed_through.map_or(i64::MIN, |removed| removed.saturating_add(1));
        let mut next = request.from_key.max(kept);
        if let Some(packed) = &slot.packed {
            next = at_or_after(packed, next);
        }
        Self {
            next,
            step: slot.step(),
            packed: slot.packed.is_some(),
            skips_gaps: false,
            visible: 0,
            items_left: request.max_items.max(1),
            bytes_left: request.max_bytes,
            items: Items { step: slot.step(), ..Items::default() },
        }
    }

    /// Takes what is wanted and fits of a batch; whether the one after it may be taken too.
    fn take(&mut self, batch: &Batch) -> bool {
        if batch.last_key < self.next {
            return true;
        }
        let gap = self.packed && !self.skips_gaps && batch.first_key > self.next;
        if gap || batch.after().items > self.visible || self.items_left == 0 {
            return false;
        }
        let skip = batch.items_below(self.next, self.step);
        let rest = batch.count - skip;
        let fits = |bytes: u64, page: &Self| u64::from(rest) <= page.items_left && bytes <= page.bytes_left;
        let bytes = batch.bytes_from(skip) as u64;
        let take = if fits(bytes, self) {
            rest
        } else if self.items.count > 0 {
            // Cutting costs a walk over the items, and the next page begins with this batch anyway.
            return false;
        } else {
            let most = u32::try_from(self.items_left).unwrap_or(u32::MAX).min(rest);
            batch.items_within(skip, self.bytes_left).clamp(1, most)
        };
        let last_key = if take == rest {
            batch.last_key
        } else {
            batch.keys(self.step).nth((skip + take - 1) as usize).unwrap_or(batch.last_key)
        };
        let part = batch.part(skip, take, self.step);
        self.items_left -= u64::from(take);
        self.bytes_left = self.bytes_left.saturating_sub(part.values.len() as u64);
        self.items.count += u64::from(take);
        self.items.last_key = Some(last_key);
        self.items.batches.push(part);
        self.next = last_key.saturating_add_unsigned(self.step);
        take == rest
    }

    /// Reads on in the store, through a key; whether the page is done.
    fn read_store(&mut self, store: &dyn Store, number: u64, through: i64) -> Result<bool> {
        let range = KeyRange::new(item_key(number, self.next)..=item_key(number, through));
        for entry in store.range(Space::Items, range, Direction::Forward) {
            let (key, value) = entry.map_err(|error| storage_failed(&error))?;
            if !self.take(&read_entry(&key, value)?) {
                return Ok(true);
            }
        }
        // Nothing more up to there: it has been removed, or is a gap.
        if self.items.count > 0 || (self.packed && !self.skips_gaps && self.next <= through) {
            return Ok(true);
        }
        self.next = self.next.max(through.saturating_add(1));
        Ok(false)
    }
}

/// The first key of a packed stream that is not before `key`.
fn at_or_after(packed: &Packed, key: i64) -> i64 {
    if key <= packed.first_key {
        return packed.first_key;
    }
    let place = packed.place_through(key - 1).map_or(0, |place| place.saturating_add(1));
    packed.key(place).unwrap_or(i64::MAX)
}
