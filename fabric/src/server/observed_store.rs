//! A store that counts what is committed, and says when it has failed.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use perper_store::{
    Backup, ClusterId, Direction, Durability, Entries, KeyRange, Result, Space, Store, StoreKind, WriteBatch,
};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Stands between the committer and the store it commits to, so that neither need know of metrics or of health.
pub(super) struct ObservedStore {
    inner: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Cancelled at the first commit that fails: after it the committer acknowledges nothing any more.
    failed: CancellationToken,
}

impl ObservedStore {
    pub(super) fn new(inner: Arc<dyn Store>, metrics: Arc<Metrics>, failed: CancellationToken) -> Self {
        Self { inner, metrics, failed }
    }

    fn count_error<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.metrics.store_errors.inc();
        }
        result
    }
}

/// Tells of a failure unless the commit came to a good end. A store that panics fails as well.
struct Attempt<'a> {
    store: &'a ObservedStore,
    over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.store.metrics.store_errors.inc();
            self.store.failed.cancel();
        }
    }
}

impl Store for ObservedStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        let start = Instant::now();
        let mut attempt = Attempt { store: self, over: false };
        let result = self.inner.commit(group);
        attempt.over = result.is_ok();
        drop(attempt);
        let metrics = &self.metrics;
        metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        metrics.commit_batches.inc_by(group.len() as u64);
        metrics.commit_bytes.inc_by(group.iter().map(|batch| batch.size() as u64).sum());
        result
    }

    fn may_wait(&self) -> bool {
        self.inner.may_wait()
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.count_error(self.inner.get(space, key))
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        let metrics = Arc::clone(&self.metrics);
        Box::new(self.inner.range(space, range, direction).inspect(move |entry| {
            if entry.is_err() {
                metrics.store_errors.inc();
            }
        }))
    }

    fn backup(&self, cluster_id: ClusterId, boot_epoch: u64, spare: u64) -> Result<Backup> {
        self.inner.backup(cluster_id, boot_epoch, spare)
    }

    fn disk_usage(&self) -> Result<u64> {
        self.count_error(self.inner.disk_usage())
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }

    fn kind(&self) -> StoreKind {
        self.inner.kind()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

impl fmt::Debug for ObservedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedStore").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
