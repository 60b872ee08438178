use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::v1;
use tokio::sync::oneshot;

use super::SessionId;
use super::connection::Connection;

/// Who waits for the end of which execution.
#[derive(Default)]
pub(super) struct Waits {
    // A plain mutex, held for one look-up.
    waiting: Mutex<HashMap<Arc<str>, Vec<Waiter>>>,
}

/// Whom to tell.
pub(super) enum Waiter {
    /// A request on a session's stream.
    Connection(Arc<Connection>, u64),
    /// A unary call.
    Once(oneshot::Sender<v1::End>),
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the execution if it is the first to wait for that.
    pub(super) fn add(&self, execution: &str, waiter: Waiter) -> Option<Arc<str>> {
        let mut waiting = self.lock();
        match waiting.get_mut(execution) {
            Some(waiters) => {
                // Those whose call or connection is over would otherwise gather on an execution that never ends.
                waiters.retain(Waiter::is_alive);
                waiters.push(waiter);
                None
            }
            None => {
                let execution: Arc<str> = Arc::from(execution);
                waiting.insert(Arc::clone(&execution), vec![waiter]);
                Some(execution)
            }
        }
    }

    /// Takes back the wait of a request: whether it was there still, and whether nobody waits any more since.
    pub(super) fn remove(
        &self,
        execution: &str,
        connection: &Arc<Connection>,
        sequence: u64,
    ) -> (bool, bool) {
        let mut waiting = self.lock();
        let Some(waiters) = waiting.get_mut(execution) else { return (false, false) };
        let before = waiters.len();
        waiters.retain(|waiter| {
            !matches!(waiter, Waiter::Connection(other, number) if Arc::ptr_eq(other, connection) && *number == sequence)
        });
        let removed = waiters.len() < before;
        let last = waiters.is_empty();
        if last {
            waiting.remove(execution);
        }
        (removed, last)
    }

    /// Drops every wait of a connection that is over; answers the executions for which nobody waits any more.
    pub(super) fn drop_dead(&self) -> Vec<Arc<str>> {
        let mut left = Vec::new();
        self.lock().retain(|execution, waiters| {
            waiters.retain(Waiter::is_alive);
            if waiters.is_empty() {
                left.push(Arc::clone(execution));
            }
            !waiters.is_empty()
        });
        left
    }

    pub(super) fn is_awaited(&self, execution: &str) -> bool {
        self.lock().contains_key(execution)
    }

    /// Takes all who wait for an end.
    pub(super) fn take(&self, execution: &str) -> Vec<Waiter> {
        self.lock().remove(execution).unwrap_or_default()
    }
}

impl Waiter {
    fn is_alive(&self) -> bool {
        match self {
            Waiter::Connection(connection, _) => !connection.outbox.has_ended(),
            Waiter::Once(sender) => !sender.is_closed(),
        }
    }

    /// Whose stream is told.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Waiter::Connection(connection, _) => Some(connection.session),
            Waiter::Once(_) => None,
        }
    }

    pub(super) fn tell(self, end: &v1::End) {
        match self {
            Waiter::Connection(connection, sequence) => connection.complete(sequence, end.clone()),
            // The call may be over.
            Waiter::Once(sender) => drop(sender.send(end.clone())),
        }
    }
}
