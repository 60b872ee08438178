//! The broker: what one server does for the clients attached to it.
//!
//! The engine changes one object at a time and tells what has changed; the broker decides what follows: it hands pending
//! executions to listens ([`dispatch`]), items to listeners ([`delivery`]) and ends to callers ([`waits`]), keeps
//! sessions and their leases ([`sessions`]), lets time act ([`timers`]), and carries out what reaches beyond one object,
//! such as stopping an instance ([`instances`]), in steps that can be repeated.

mod admission;
mod connection;
mod delivery;
mod dispatch;
mod instances;
mod listeners;
mod observers;
mod outbox;
mod parked;
mod reactions;
mod repeat;
mod sessions;
mod submit;
#[cfg(test)]
mod tests;
mod timers;
mod unary;
mod waits;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use perper_proto::v1;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(crate) use self::connection::Connection;
use self::delivery::Deliveries;
use self::dispatch::Dispatcher;
use self::observers::Observers;
pub(crate) use self::observers::{Observation, StreamObservation};
pub(crate) use self::outbox::Frames;
use self::parked::Parked;
use self::repeat::Repeating;
use self::sessions::Session;
pub(crate) use self::sessions::session_id;
use self::timers::Timers;
use self::waits::Waits;
use crate::config::Config;
use crate::engine::{
    Clock, Engine, ExecutionRequest, Identity, Operation, Outcome, Request, Result, SessionId, Subject,
    is_waiting,
};
use crate::metrics::{self, Metrics};

/// What one server does for its clients. Shared by all services.
pub(crate) struct Broker {
    engine: Arc<dyn Engine>,
    /// The same, for operations whose outcomes must be known.
    operations: Arc<Repeating>,
    /// Events come on threads where there is no runtime by itself.
    runtime: tokio::runtime::Handle,
    clock: Clock,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    dispatcher: Arc<Dispatcher>,
    deliveries: Arc<Deliveries>,
    waits: Waits,
    timers: Arc<Timers>,
    // Plain mutexes, held for look-ups.
    sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
    /// Sessions of a former boot that may still come back; until then, executions of theirs are held back.
    recovering: Mutex<HashSet<SessionId>>,
    /// Who waits for a stream's first listener.
    listener_waits: Mutex<HashMap<Arc<str>, Vec<listeners::Waiter>>>,
    /// Who waits for outcomes that come later.
    parked: Parked,
    observers: Observers,
    draining: CancellationToken,
}

impl Broker {
    /// Makes the broker of a server, and begins to react to what the engine tells.
    pub(crate) fn start(
        engine: Arc<dyn Engine>,
        clock: Clock,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let operations = Repeating::new(Arc::clone(&engine));
        let this = Arc::new(Self {
            dispatcher: Dispatcher::new(Arc::clone(&engine), Arc::clone(&operations), clock),
            deliveries: Deliveries::new(Arc::clone(&engine), Arc::clone(&metrics)),
            waits: Waits::default(),
            timers: Timers::new(),
            sessions: Mutex::default(),
            recovering: Mutex::default(),
            listener_waits: Mutex::default(),
            parked: Parked::default(),
            observers: Observers::default(),
            draining: CancellationToken::new(),
            engine,
            operations,
            runtime: tokio::runtime::Handle::current(),
            clock,
            config,
            metrics,
        });
        this.recover_sessions();
        this.engine.observe(Arc::new(reactions::Reactions::new(&this)));
        tokio::spawn({
            let (timers, broker) = (Arc::clone(&this.timers), Arc::downgrade(&this));
            async move {
                while let Some(timer) = timers.next().await {
                    let Some(broker) = broker.upgrade() else { return };
                    broker.fire(timer);
                }
            }
        });
        this
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Counts a request of a unary call.
    pub(crate) async fn counted<T>(
        &self,
        operation: metrics::Operation,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let outcome = answer.await;
        self.metrics.requests.answered(operation, &outcome);
        outcome
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Listens by agent, for inspection.
    pub(crate) fn listens(&self) -> HashMap<Arc<str>, u64> {
        self.dispatcher.listens()
    }

    /// Carries out one operation and waits for its outcome.
    pub(crate) async fn apply(&self, operation: Operation) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        let identity = operation.identity;
        self.operations.apply(
            vec![operation],
            Box::new(move |mut outcomes| {
                // Whoever waited may have gone.
                drop(sender.send(outcomes.pop()));
            }),
        );
        match receiver.await {
            Ok(Some(outcome)) if is_waiting(&outcome) => self.outcome_of(identity).await,
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => Err(perper_proto::Reason::Internal.error("the engine gave no outcome")),
        }
    }

    /// Waits for the outcome of a request that the engine lets wait.
    async fn outcome_of(&self, identity: Option<Identity>) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        if let Some(identity) = identity {
            self.parked.wait(identity, listeners::Waiter::Once(sender));
        }
        receiver.await.unwrap_or_else(|_| {
            Err(perper_proto::Reason::OutcomeUnknown.error(
                "the session ended, or asked again under the same identity, while this request waited: whether it takes \
                 effect is not known here",
            ))
        })
    }

    /// Carries out what follows from something else, where the outcome tells nothing new: the object may be gone, or
    /// have ended, and both are as good.
    fn follow_up(&self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        let operations = requests.into_iter().map(|request| Operation { identity: None, request }).collect();
        self.operations.settle(operations);
    }

    /// Waits for the end of an execution, which must not be there yet, or be looked for after this.
    fn wait_for_end(&self, execution: &str, waiter: waits::Waiter) {
        if let Some(execution) = self.waits.add(execution, waiter) {
            self.engine.follow(Subject::End(execution));
        }
    }

    /// Takes back the wait of a request; false if it is over.
    fn wait_no_more(&self, execution: &Arc<str>, connection: &Arc<Connection>, sequence: u64) -> bool {
        let (removed, last) = self.waits.remove(execution, connection, sequence);
        if last {
            self.engine.unfollow(Subject::End(Arc::clone(execution)));
        }
        removed
    }

    /// Tells an end to all who wait for it; whether a stream of this session was among them.
    fn tell_end(&self, execution: &Arc<str>, end: &v1::End, session: Option<SessionId>) -> bool {
        let waiters = self.waits.take(execution);
        if !waiters.is_empty() {
            self.engine.unfollow(Subject::End(Arc::clone(execution)));
        }
        let told = session.is_some() && waiters.iter().any(|waiter| waiter.session() == session);
        waiters.into_iter().for_each(|waiter| waiter.tell(end));
        told
    }
}

/// Gives a reservation back that nobody has seen.
fn release(operations: &Arc<Repeating>, execution: String, reservation: Bytes) {
    let request = v1::ReleaseExecutionRequest { execution, reservation, identity: None };
    let request = Request::Execution(ExecutionRequest::Release(request));
    operations.settle(vec![Operation { identity: None, request }]);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
