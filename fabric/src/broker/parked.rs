//! Requests whose outcome comes later, because the engine lets them wait.

use std::collections::HashMap;
use std::sync::Mutex;

use super::listeners::Waiter;
use super::lock;
use crate::engine::{Identity, Outcome, SessionId};

/// Who waits for which outcome.
#[derive(Default)]
pub(super) struct Parked {
    // A plain mutex, held for look-ups.
    requests: Mutex<HashMap<Identity, Half>>,
}

/// Of a request's outcome and the one who waits for it, whichever came first. Mostly that is who waits; but the word
/// that a request waits is told with the other outcomes of its frame, which may take longer than the wait.
enum Half {
    Waiter(Waiter),
    Outcome(Box<Outcome>),
}

impl Parked {
    /// The engine has said that a request waits.
    pub(super) fn wait(&self, identity: Identity, waiter: Waiter) {
        let mut requests = lock(&self.requests);
        match requests.remove(&identity) {
            Some(Half::Outcome(outcome)) => {
                drop(requests);
                waiter.tell(*outcome);
            }
            // The former one asked on a connection that is gone.
            Some(Half::Waiter(_)) | None => {
                requests.insert(identity, Half::Waiter(waiter));
            }
        }
    }

    /// The engine has told the outcome.
    pub(super) fn answer(&self, identity: Identity, outcome: Outcome) {
        let mut requests = lock(&self.requests);
        match requests.remove(&identity) {
            Some(Half::Waiter(waiter)) => {
                drop(requests);
                waiter.tell(outcome);
            }
            Some(Half::Outcome(_)) | None => {
                requests.insert(identity, Half::Outcome(Box::new(outcome)));
            }
        }
    }

    /// The client has all outcomes up to a sequence; with `u64::MAX`, the session is over.
    pub(super) fn forget(&self, session: SessionId, through: u64) {
        lock(&self.requests).retain(|identity, _| identity.session != session || identity.sequence > through);
    }
}
