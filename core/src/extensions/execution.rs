use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{Result, protocol::Parent};

/// Where executions take the places that a worker has for them.
pub(crate) trait Slots: Send + Sync {
    /// The execution waits for somebody else: its place is free meanwhile.
    fn lend(&self);
    /// It goes on.
    fn take_back(&self);
}

/// An execution waits for a call, until this is dropped.
pub(crate) struct Waiting(Option<Arc<dyn Slots>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(slots) = &self.0 {
            slots.take_back();
        }
    }
}

type Creation = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What everything that runs on behalf of one attempt of an execution shares.
pub(crate) struct ExecutionScope {
    pub(crate) execution: String,
    pub(crate) reservation: Bytes,
    pub(crate) delegate: String,
    pub(crate) incarnation: u64,
    pub(crate) attempt: u32,
    pub(crate) headers: BTreeMap<String, String>,
    /// The worker that counts this execution; none where it does not.
    slots: Option<Weak<dyn Slots>>,
    /// Cancelled when the reservation is over before the handler is.
    pub(crate) cancellation: CancellationToken,
    /// The handler has returned: what still runs on its behalf has no parent any more.
    ended: AtomicBool,
    /// Requested and not yet acknowledged. A failure of one fails the execution.
    creations: Mutex<Vec<Creation>>,
}

impl fmt::Debug for ExecutionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionScope").field("execution", &self.execution).finish_non_exhaustive()
    }
}

impl ExecutionScope {
    pub(crate) fn new(
        execution: String,
        reservation: Bytes,
        delegate: String,
        incarnation: u64,
        attempt: u32,
        headers: BTreeMap<String, String>,
        slots: Option<Weak<dyn Slots>>,
    ) -> Self {
        ExecutionScope {
            execution,
            reservation,
            delegate,
            incarnation,
            attempt,
            headers,
            slots,
            cancellation: CancellationToken::new(),
            ended: AtomicBool::new(false),
            creations: Mutex::new(Vec::new()),
        }
    }

    /// From here on the execution waits for a call: nested ones must not starve for the place that it has.
    pub(crate) fn wait(&self) -> Waiting {
        let slots = self.slots.as_ref().and_then(Weak::upgrade);
        if let Some(slots) = &slots {
            slots.lend();
        }
        Waiting(slots)
    }

    pub(crate) fn parent(&self) -> Parent {
        Parent { execution: self.execution.clone(), reservation: self.reservation.clone() }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Notes a creation that nobody awaits.
    pub(crate) fn created(&self, creation: Creation) {
        self.creations.lock().unwrap_or_else(PoisonError::into_inner).push(creation);
    }

    /// Waits until everything that was created without being awaited is acknowledged, and gives the first failure.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut outcome = Ok(());
        loop {
            let creations =
                std::mem::take(&mut *self.creations.lock().unwrap_or_else(PoisonError::into_inner));
            if creations.is_empty() {
                return outcome;
            }
            for creation in creations {
                outcome = outcome.and(creation.await);
            }
        }
    }
}
