//! The store that survives nothing: for tests, and for durability `memory`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::vec;

use bytes::Bytes;

use crate::{
    Direction, Durability, Entries, Entry, Error, ErrorKind, KeyRange, Op, Result, Space, Store, StoreKind,
    WriteBatch,
};

/// Entries that a range reads at once; between two such steps the lock is free.
const STEP: usize = 64;

type Spaces = [BTreeMap<Bytes, Bytes>; Space::ALL.len()];

/// An ordered store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// One lock for all spaces, so that no reader sees half of a batch.
    spaces: Arc<RwLock<Spaces>>,
    closed: AtomicBool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic under the lock can only come from a failed allocation, which aborts; the maps are sound regardless.
    fn read(&self) -> RwLockReadGuard<'_, Spaces> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Spaces> {
        self.spaces.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        }
        group.iter().try_for_each(WriteBatch::check)?;
        let mut spaces = self.write();
        for op in group.iter().flat_map(WriteBatch::iter) {
            match op {
                Op::Put { space, key, value, .. } => {
                    spaces[space.index()].insert(Bytes::copy_from_slice(key), value.to_bytes());
                }
                Op::Delete { space, key } => {
                    spaces[space.index()].remove(key);
                }
                Op::DeleteRange { space, start, end } => delete_range(&mut spaces[space.index()], start, end),
            }
        }
        Ok(())
    }

    fn may_wait(&self) -> bool {
        false
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.read()[space.index()].get(key).cloned())
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        Box::new(MemoryRange {
            spaces: Arc::clone(&self.spaces),
            space,
            range,
            direction,
            step: Vec::new().into_iter(),
            done: false,
        })
    }

    fn disk_usage(&self) -> Result<u64> {
        let spaces = self.read();
        let entries = spaces.iter().flat_map(BTreeMap::iter);
        Ok(entries.map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Memory
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

fn delete_range(entries: &mut BTreeMap<Bytes, Bytes>, start: &[u8], end: &[u8]) {
    if start >= end {
        return;
    }
    let bounds = (Bound::Included(start), Bound::Excluded(end));
    let doomed: Vec<Bytes> = entries.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
    for key in doomed {
        entries.remove(&key);
    }
}

/// Reads a range step by step, each step beginning after the last key of the one before.
struct MemoryRange {
    spaces: Arc<RwLock<Spaces>>,
    space: Space,
    range: KeyRange,
    direction: Direction,
    step: vec::IntoIter<Entry>,
    done: bool,
}

impl MemoryRange {
    fn read_step(&mut self) {
        if self.range.is_empty() {
            self.done = true;
            return;
        }
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        let entries = spaces[self.space.index()].range::<[u8], _>(self.range.as_slices());
        let owned = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let step: Vec<Entry> = match self.direction {
            Direction::Forward => entries.take(STEP).map(owned).collect(),
            Direction::Reverse => entries.rev().take(STEP).map(owned).collect(),
        };
        drop(spaces);
        self.done = step.len() < STEP;
        if let Some((last, _)) = step.last() {
            let bound = Bound::Excluded(last.clone());
            match self.direction {
                Direction::Forward => self.range.start = bound,
                Direction::Reverse => self.range.end = bound,
            }
        }
        self.step = step.into_iter();
    }
}

impl Iterator for MemoryRange {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.step.next() {
                return Some(Ok(entry));
            }
            if self.done {
                return None;
            }
            self.read_step();
        }
    }
}
