use perper_store::WriteBatch;

use crate::engine::{Event, Identity, Outcome, Timestamp};

/// What one run of operations writes, and tells once that is durable.
pub(super) struct Changes<P> {
    /// Now, once for the whole run.
    pub(super) now: Timestamp,
    /// The writes.
    pub(super) batch: WriteBatch,
    /// Told to the observer when the writes are durable.
    pub(super) events: Vec<Event>,
    /// Outcomes of mutations of former runs that had to wait.
    pub(super) answers: Vec<(Identity, Outcome)>,
    /// The shard's own notes of what to publish when the writes are durable.
    pub(super) unpublished: Vec<P>,
}

impl<P> Changes<P> {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            batch: WriteBatch::new(),
            events: Vec::new(),
            answers: Vec::new(),
            unpublished: Vec::new(),
        }
    }
}
