use std::collections::{BTreeMap, VecDeque, btree_map};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;
use perper_store::{Direction, Entries, KeyRange, Space, Store, WriteBatch};

use super::unreadable;
use crate::engine::Result;

/// A space of the store as it will be once everything queued is written.
///
/// A write is queued under the shard's lock and becomes durable later; a read that comes between must see it. So what is
/// queued stays here until it is in the store, and reads look here first. Nothing is shown too early by that: a read's
/// answer waits for the writes before it.
pub(in crate::engine::embedded) struct Overlay {
    store: Arc<dyn Store>,
    space: Space,
    queued: BTreeMap<Bytes, Queued>,
    /// Keys of `queued` by the run that wrote them, oldest first.
    runs: VecDeque<(u64, Bytes)>,
    /// The run under way.
    run: u64,
}

struct Queued {
    /// The last run that wrote it.
    run: u64,
    /// Absent if it removed the key.
    value: Option<Bytes>,
}

impl Overlay {
    pub(in crate::engine::embedded) fn new(store: Arc<dyn Store>, space: Space) -> Self {
        Self { store, space, queued: BTreeMap::new(), runs: VecDeque::new(), run: 1 }
    }

    pub(in crate::engine::embedded) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(queued) = self.queued.get(key) {
            return Ok(queued.value.clone());
        }
        self.store.get(self.space, key).map_err(|error| unreadable(&error))
    }

    /// Queues a value, or with `None` the removal of the key.
    pub(in crate::engine::embedded) fn write(
        &mut self,
        key: Bytes,
        value: Option<Bytes>,
        batch: &mut WriteBatch,
    ) {
        match &value {
            Some(value) => batch.put(self.space, &key, value.clone()),
            None => batch.delete(self.space, &key),
        }
        self.runs.push_back((self.run, key.clone()));
        self.queued.insert(key, Queued { run: self.run, value });
    }

    /// Ends a run; tells its number if it wrote anything, for [`durable`](Overlay::durable).
    pub(in crate::engine::embedded) fn end_run(&mut self) -> Option<u64> {
        let run = self.run;
        self.runs.back().is_some_and(|(last, _)| *last == run).then(|| {
            self.run += 1;
            run
        })
    }

    /// The writes of the runs up to this one are in the store.
    pub(in crate::engine::embedded) fn durable(&mut self, through: u64) {
        while self.runs.front().is_some_and(|(run, _)| *run <= through) {
            if let Some((_, key)) = self.runs.pop_front()
                && let btree_map::Entry::Occupied(queued) = self.queued.entry(key)
                && queued.get().run <= through
            {
                queued.remove();
            }
        }
    }

    /// Keys and values after `after`, and below `end`, in order.
    pub(in crate::engine::embedded) fn range(&self, after: Bytes, end: Bytes) -> Merged<'_> {
        if after >= end {
            return Merged { stored: (Box::new(std::iter::empty()) as Entries).peekable(), queued: None };
        }
        let bounds = (Bound::Excluded(after), Bound::Excluded(end));
        let queued = self.queued.range(bounds.clone()).peekable();
        let range = KeyRange { start: bounds.0, end: bounds.1 };
        let stored = self.store.range(self.space, range, Direction::Forward).peekable();
        Merged { stored, queued: Some(queued) }
    }

    #[cfg(test)]
    pub(in crate::engine::embedded) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.runs.is_empty()
    }
}

/// What is in the store with what is queued over it.
pub(in crate::engine::embedded) struct Merged<'a> {
    stored: Peekable<Entries>,
    queued: Option<Peekable<btree_map::Range<'a, Bytes, Queued>>>,
}

impl Iterator for Merged<'_> {
    type Item = std::result::Result<(Bytes, Bytes), v1::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let queued = self.queued.as_mut().and_then(Peekable::peek);
            let stored = match self.stored.peek() {
                Some(Ok((key, _))) => Some(key),
                Some(Err(error)) => return Some(Err(unreadable(error))),
                None => None,
            };
            let from_store = match (queued, stored) {
                (None, None) => return None,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (Some((queued, _)), Some(stored)) => {
                    if *queued == stored {
                        // The queued write may be on its way into the store; what is queued is newer or the same.
                        self.stored.next();
                        continue;
                    }
                    stored < *queued
                }
            };
            if from_store {
                return self.stored.next().map(|entry| entry.map_err(|error| unreadable(&error)));
            }
            let next = self.queued.as_mut().and_then(Iterator::next);
            if let Some((key, Queued { value: Some(value), .. })) = next {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}
