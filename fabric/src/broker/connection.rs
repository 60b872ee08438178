use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::v1;

use super::delivery::Subscription;
use super::dispatch::Listen;
use super::outbox::Outbox;
use crate::engine::{Outcome, SessionId};
use crate::metrics::{Metrics, Operation};

/// One `Attach` stream: what its client has asked for, until it is gone or another takes the session over.
pub(crate) struct Connection {
    pub(super) session: SessionId,
    pub(super) outbox: Arc<Outbox>,
    /// The session was attached before, so that a request may be a repeat.
    pub(super) resumed: bool,
    metrics: Arc<Metrics>,
    /// Requests taken and not answered.
    in_flight: AtomicU64,
    // A plain mutex: held for look-ups.
    open: Mutex<Open>,
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) listens: HashMap<u64, (Arc<Listen>, Vec<v1::ExecutionFilter>)>,
    pub(super) listeners: HashMap<u64, Arc<Subscription>>,
    /// Listeners that the engine is still attaching, with what the client has said to them meanwhile.
    pub(super) attaching: HashMap<u64, Early>,
    /// Executions whose end the client has not received, by the sequence of the call.
    pub(super) calls: HashMap<u64, Arc<str>>,
}

/// What a client says to a listener before it is attached, kept until then. A client need not wait for the answer: one
/// that comes back after a lost connection has items in hand, which it acknowledges and gives credit for.
#[derive(Default)]
pub(super) struct Early {
    pub(super) credit: v1::Credit,
    /// It is to be detached as soon as it is attached.
    pub(super) detached: bool,
}

impl Early {
    pub(super) fn add(&mut self, credit: &v1::Credit) {
        self.credit.count = self.credit.count.saturating_add(credit.count);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
        self.credit.acknowledged_key = self.credit.acknowledged_key.max(credit.acknowledged_key);
    }
}

impl Open {
    /// Listens, and listeners attached or about to be.
    pub(super) fn subscriptions(&self) -> u64 {
        (self.listens.len() + self.listeners.len() + self.attaching.len()) as u64
    }
}

impl Connection {
    pub(super) fn new(session: SessionId, resumed: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            session,
            outbox: Outbox::new(),
            resumed,
            metrics,
            in_flight: AtomicU64::new(0),
            open: Mutex::default(),
        })
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens and listeners.
    pub(super) fn subscriptions(&self) -> u64 {
        self.open().subscriptions()
    }

    /// Ends the stream once everything before has been sent.
    pub(crate) fn end(&self, status: Option<tonic::Status>) {
        self.outbox.end(status);
    }

    /// Counts requests taken; answers how many are in flight now.
    pub(super) fn take(&self, requests: u64) -> u64 {
        self.in_flight.fetch_add(requests, Ordering::Relaxed) + requests
    }

    /// Answers a request, and counts it.
    pub(super) fn answer(&self, operation: Operation, sequence: u64, outcome: Outcome) {
        self.metrics.requests.answered(operation, &outcome);
        self.reply(sequence, outcome);
    }

    /// Answers a request that the caller counts.
    pub(super) fn reply(&self, sequence: u64, outcome: Outcome) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let response = match outcome {
            Ok(None) => None,
            Ok(Some(v1::response::Response::CreateExecution(response))) if response.created => {
                // A caller waits for the end, and that mostly comes soon.
                if self.open().calls.contains_key(&sequence) {
                    return self.outbox.add_later(4, |frame| frame.succeeded.push(sequence));
                }
                None
            }
            Ok(Some(response)) => Some(response),
            Err(error) => Some(v1::response::Response::Error(error)),
        };
        match response {
            None => self.outbox.add(4, |frame| frame.succeeded.push(sequence)),
            Some(response) => {
                let response = v1::Response { sequence, response: Some(response) };
                let size = prost::Message::encoded_len(&response);
                self.outbox.add(size, |frame| frame.responses.push(response));
            }
        }
    }

    /// Tells the end of an execution that a request waits for.
    pub(super) fn complete(&self, sequence: u64, end: v1::End) {
        let completion = v1::Completion { sequence, end: Some(end) };
        let size = prost::Message::encoded_len(&completion);
        self.outbox.add(size, |frame| frame.completions.push(completion));
    }

    /// Tells something about a listen or an attached listener.
    pub(super) fn notice(&self, subscription: u64, notice: v1::notice::Notice) {
        self.outbox.add(16, |frame| frame.notices.push(v1::Notice { subscription, notice: Some(notice) }));
    }
}
