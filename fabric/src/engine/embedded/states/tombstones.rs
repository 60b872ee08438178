use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::engine::Timestamp;

/// What is remembered of destroyed objects for a while, so that those who still ask are told more than that there is
/// no such thing. In memory only.
pub(super) struct Tombstones {
    keep_ms: u64,
    graves: HashMap<Arc<str>, Grave>,
    /// By the time until which they are kept.
    times: VecDeque<(Timestamp, Arc<str>)>,
}

pub(super) struct Grave {
    /// The instance with which it went; absent if it was destroyed by itself.
    pub(super) owner: Option<Arc<str>>,
    until: Timestamp,
}

impl Tombstones {
    pub(super) fn new(keep_ms: u64) -> Self {
        Self { keep_ms, graves: HashMap::new(), times: VecDeque::new() }
    }

    pub(super) fn find(&self, id: &str) -> Option<&Grave> {
        self.graves.get(id)
    }

    pub(super) fn insert(&mut self, id: Arc<str>, owner: Option<Arc<str>>, now: Timestamp) {
        let until = now.plus(self.keep_ms);
        self.graves.insert(Arc::clone(&id), Grave { owner, until });
        self.times.push_back((until, id));
    }

    /// The id is in use again.
    pub(super) fn remove(&mut self, id: &str) {
        self.graves.remove(id);
    }

    /// Drops those whose time has come.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.times.front().filter(|(until, _)| *until <= now) {
            // An id may have been used and destroyed once more since.
            if self.graves.get(id).is_some_and(|grave| grave.until <= *until) {
                self.graves.remove(id);
            }
            self.times.pop_front();
        }
    }
}
