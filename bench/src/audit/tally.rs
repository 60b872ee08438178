use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// What was acknowledged and what was found, counted by all loads together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acknowledged: [AtomicU64; Kind::ALL.len()],
    findings: Mutex<Vec<Finding>>,
    changed: Notify,
}

/// What is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call has returned.
    Call,
    /// An execution has been created.
    Create,
    /// A batch of items is in its stream.
    Batch,
    /// An item has reached a listener.
    Delivery,
    /// A dictionary has been updated.
    Dictionary,
    /// A list has been updated.
    List,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::Call, Kind::Create, Kind::Batch, Kind::Delivery, Kind::Dictionary, Kind::List];
}

/// Something that may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of fault.
    pub fault: Fault,
    /// What, where, and what should have been.
    pub text: String,
}

/// Kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was acknowledged is not there.
    Lost,
    /// What was done once is there twice.
    Duplicated,
    /// Anything else: another value, an error where there may be none, a server that does not start.
    Wrong,
}

/// A load ends with its first finding: what it expects is in question from then on.
#[derive(Debug)]
pub(super) struct Found;

impl Tally {
    pub(super) fn acknowledge(&self, kind: Kind) {
        self.add(kind, 1);
    }

    pub(super) fn add(&self, kind: Kind, count: u64) {
        self.acknowledged[kind as usize].fetch_add(count, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn counts(&self) -> [u64; Kind::ALL.len()] {
        std::array::from_fn(|index| self.acknowledged[index].load(Ordering::Relaxed))
    }

    /// Waits until every load has got something acknowledged since `before`, or something was found.
    pub(super) async fn progress(&self, before: [u64; Kind::ALL.len()]) {
        loop {
            let changed = self.changed.notified();
            let mut pairs = self.counts().into_iter().zip(before);
            if self.has_findings() || pairs.all(|(now, before)| now > before) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until more than so many of a kind were acknowledged.
    pub(super) async fn more(&self, kind: Kind, than: u64) {
        loop {
            let changed = self.changed.notified();
            if self.counts()[kind as usize] > than {
                return;
            }
            changed.await;
        }
    }

    /// Waits until something was found.
    pub(super) async fn found(&self) {
        loop {
            let changed = self.changed.notified();
            if self.has_findings() {
                return;
            }
            changed.await;
        }
    }

    /// Notes a finding, and gives what its load ends with.
    pub(super) fn find(&self, fault: Fault, text: impl Into<String>) -> Found {
        let text = text.into();
        eprintln!("  {fault:?}: {text}");
        self.lock().push(Finding { fault, text });
        self.changed.notify_waiters();
        Found
    }

    pub(super) fn lost(&self, text: impl Into<String>) -> Found {
        self.find(Fault::Lost, text)
    }

    pub(super) fn duplicated(&self, text: impl Into<String>) -> Found {
        self.find(Fault::Duplicated, text)
    }

    pub(super) fn wrong(&self, text: impl Into<String>) -> Found {
        self.find(Fault::Wrong, text)
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.lock().is_empty()
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Finding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
