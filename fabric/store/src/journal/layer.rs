//! Changes in memory, over a store or over another layer.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use crate::{Direction, KeyRange, Space};

/// What became of a key.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The value, or that it was deleted.
    pub(super) value: Option<Bytes>,
    /// Nothing below has the key, so a deletion leaves nothing to remember.
    new: bool,
}

type Changes = BTreeMap<Box<[u8]>, Change>;

/// The latest change of every key that changed.
#[derive(Debug, Default)]
pub(super) struct Layer {
    // One lock for all spaces, so that a group becomes visible at once.
    spaces: RwLock<Spaces>,
}

/// The changes by space.
#[derive(Debug, Default)]
pub(super) struct Spaces([Changes; Space::ALL.len()]);

impl Spaces {
    pub(super) fn put(&mut self, space: Space, key: &[u8], value: Bytes, new: bool) {
        let changes = &mut self.0[space.index()];
        match changes.get_mut(key) {
            // Whether something is below does not change by what happens above.
            Some(change) => change.value = Some(value),
            None => drop(changes.insert(key.into(), Change { value: Some(value), new })),
        }
    }

    pub(super) fn delete(&mut self, space: Space, key: &[u8]) {
        let changes = &mut self.0[space.index()];
        match changes.get_mut(key) {
            Some(change) if change.new => drop(changes.remove(key)),
            Some(change) => change.value = None,
            None => drop(changes.insert(key.into(), Change { value: None, new: false })),
        }
    }

    /// Deletes the keys of this layer within a range; those below are the caller's to delete one by one.
    pub(super) fn delete_range(&mut self, space: Space, start: &[u8], end: &[u8]) {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        let doomed: Vec<Box<[u8]>> =
            self.0[space.index()].range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
        for key in doomed {
            self.delete(space, &key);
        }
    }

    /// Deletes a key that is below.
    pub(super) fn delete_below(&mut self, space: Space, key: &[u8]) {
        self.0[space.index()].insert(key.into(), Change { value: None, new: false });
    }

    pub(super) fn changes(&self, space: Space) -> &Changes {
        &self.0[space.index()]
    }

    /// Leaves the changes of the layer below on which this one does not have the last word. It does not on those of a
    /// key that is new here: once deleted, this layer forgets it, and counts on its not being below.
    pub(super) fn retain_unchanged(&self, space: Space, others: &mut Vec<(&[u8], &Change)>) {
        let changes = &self.0[space.index()];
        if !changes.is_empty() {
            others.retain(|(key, _)| changes.get(*key).is_none_or(|change| change.new));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeMap::is_empty)
    }
}

impl Layer {
    /// Changes several keys at once.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Spaces) -> T) -> T {
        // The maps are sound even if a thread panicked in between, and a failed commit ends all commits.
        change(&mut self.spaces.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Spaces> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key or its deletion, if this layer knows.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Option<Option<Bytes>> {
        self.read().changes(space).get(key).map(|change| change.value.clone())
    }

    /// The next changes of a range, at most `count`.
    pub(super) fn step(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        count: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        if range.is_empty() {
            return Vec::new();
        }
        let spaces = self.read();
        let changes = spaces.changes(space).range::<[u8], _>(range.as_slices());
        let changes = changes.map(|(key, change)| (Bytes::copy_from_slice(key), change.value.clone()));
        match direction {
            Direction::Forward => changes.take(count).collect(),
            Direction::Reverse => changes.rev().take(count).collect(),
        }
    }
}
