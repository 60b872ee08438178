use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::v1;
use tokio::sync::oneshot;

use super::connection::Connection;
use crate::engine::Ended;

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

    pub(super) fn add(&self, execution: &str, waiter: Waiter) {
        let mut waiting = self.lock();
        match waiting.get_mut(execution) {
            Some(waiters) => {
                // Those whose call or connection is over would otherwise gather on an execution that never ends.
                waiters.retain(Waiter::is_alive);
                waiters.push(waiter);
            }
            None => {
                waiting.insert(Arc::from(execution), vec![waiter]);
            }
        }
    }

    /// Takes back the wait of a request; false if it is over.
    pub(super) fn remove(&self, execution: &str, connection: &Arc<Connection>, sequence: u64) -> bool {
        let mut waiting = self.lock();
        let Some(waiters) = waiting.get_mut(execution) else { return false };
        let before = waiters.len();
        waiters.retain(|waiter| {
            !matches!(waiter, Waiter::Connection(other, number) if Arc::ptr_eq(other, connection) && *number == sequence)
        });
        let removed = waiters.len() < before;
        if waiters.is_empty() {
            waiting.remove(execution);
        }
        removed
    }

    /// Drops every wait of a connection that is over.
    pub(super) fn drop_dead(&self) {
        self.lock().retain(|_, waiters| {
            waiters.retain(Waiter::is_alive);
            !waiters.is_empty()
        });
    }

    pub(super) fn ended(&self, ended: &Ended) {
        let waiters = self.lock().remove(&ended.execution.id);
        for waiter in waiters.into_iter().flatten() {
            waiter.tell(&ended.end);
        }
    }
}

impl Waiter {
    fn is_alive(&self) -> bool {
        match self {
            Waiter::Connection(connection, _) => !connection.outbox.has_ended(),
            Waiter::Once(sender) => !sender.is_closed(),
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
