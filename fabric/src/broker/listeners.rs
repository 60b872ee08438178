//! Listeners of streams: attaching, detaching, and waiting for the first.

use std::sync::Arc;

use perper_proto::{Reason, v1};
use tokio::sync::oneshot;
use v1::response::Response;

use super::connection::Early;
use super::delivery::Subscription;
use super::{Broker, Connection, lock};
use crate::engine::{
    AttachListener, Identity, Operation, Outcome, ReadItems, Request, Result, StreamRequest, Subject,
};
use crate::metrics;

/// Who waits for a stream's first listener.
pub(super) enum Waiter {
    Connection(Arc<Connection>, metrics::Operation, u64),
    Once(oneshot::Sender<Outcome>),
}

impl Waiter {
    pub(super) fn tell(self, outcome: Outcome) {
        match self {
            Waiter::Connection(connection, asked, sequence) => connection.answer(asked, sequence, outcome),
            // The call may be over.
            Waiter::Once(sender) => drop(sender.send(outcome)),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Waiter::Connection(connection, ..) => !connection.outbox.has_ended(),
            Waiter::Once(sender) => !sender.is_closed(),
        }
    }
}

/// What those are told who wait for something of a stream that is gone.
pub(super) fn destroyed(stream: &str) -> v1::Error {
    Reason::NotFound.error(format!("stream {stream:?} was destroyed")).with("stream", stream)
}

/// The key of an unnamed listener's record. Names of the user's never begin like this.
fn unnamed(connection: &Connection, place: u64) -> String {
    format!("\0{}/{place}", connection.session)
}

impl Broker {
    pub(super) fn take_attach_listener(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        request: v1::AttachListenerRequest,
    ) {
        if let Err(error) = self.check_subscriptions(connection) {
            return connection.answer(metrics::Operation::AttachListener, sequence, Err(error));
        }
        let limits = &self.config.limits;
        let credit =
            (request.credit_items.min(limits.credit_items), request.credit_bytes.min(limits.credit_bytes));
        let named = !request.name.is_empty();
        let listener = if named { request.name.clone() } else { unnamed(connection, request.place) };
        let stream: Arc<str> = Arc::from(request.stream.as_str());
        let attach = AttachListener { session: connection.session, listener: listener.clone(), request };
        let operation = Operation {
            identity: Some(Identity { session: connection.session, sequence }),
            request: Request::Stream(StreamRequest::AttachListener(attach)),
        };
        let asked = metrics::Operation::AttachListener;
        connection.open().attaching.insert(sequence, Early::default());
        let (broker, connection) = (Arc::clone(self), Arc::clone(connection));
        self.operations.apply(
            vec![operation],
            Box::new(move |mut outcomes| {
                let outcome = outcomes
                    .pop()
                    .unwrap_or_else(|| Err(Reason::Internal.error("the engine gave no outcome")));
                let Ok(Some(Response::AttachListener(attached))) = &outcome else {
                    connection.open().attaching.remove(&sequence);
                    return connection.answer(asked, sequence, outcome);
                };
                let owned = broker.owns_listener(connection.session, &stream, &listener, attached.epoch);
                let subscription = Subscription::new(
                    Arc::clone(&connection),
                    sequence,
                    stream,
                    listener.into(),
                    attached,
                    credit,
                );
                let early = {
                    let mut open = connection.open();
                    let early = open.attaching.remove(&sequence);
                    if owned && early.as_ref().is_some_and(|early| !early.detached) {
                        open.listeners.insert(sequence, Arc::clone(&subscription));
                    }
                    early
                };
                connection.answer(asked, sequence, outcome);
                broker.begin_listener(&subscription, owned, early);
            }),
        );
    }

    /// A listener is attached, and whoever asked for it has the answer. `owned` says that its session is still there,
    /// `early` what was said to the listener before; none once the connection has been closed.
    fn begin_listener(self: &Arc<Self>, subscription: &Arc<Subscription>, owned: bool, early: Option<Early>) {
        let connection = &subscription.connection;
        let Early { credit, detached } = match early {
            // The connection went meanwhile; the record waits for the session to come back.
            None if owned => return,
            early => early.unwrap_or_default(),
        };
        if !owned || detached {
            // Its session has ended, and nothing else would take it away again: an ephemeral stream would keep every item
            // for it. Or its client wants no more of it.
            self.disowns_listener(connection.session, &subscription.stream, &subscription.listener);
            let last = self.take_listener_credit(subscription, &credit);
            let detach = Request::Stream(subscription.detach());
            return self.follow_up(last.into_iter().chain([detach]).collect());
        }
        self.deliveries.attach(subscription);
        self.follow_up(self.take_listener_credit(subscription, &credit).into_iter().collect());
        if connection.outbox.has_ended() {
            // It has just gone, and may have been closed without this one.
            self.deliveries.detach(subscription);
        }
    }

    pub(super) fn take_detach_listener(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        request: &v1::DetachListenerRequest,
    ) {
        let asked = metrics::Operation::DetachListener;
        let subscription = {
            let mut open = connection.open();
            if let Some(early) = open.attaching.get_mut(&request.listener) {
                early.detached = true;
            }
            open.listeners.remove(&request.listener)
        };
        let Some(subscription) = subscription else { return connection.answer(asked, sequence, Ok(None)) };
        self.deliveries.detach(&subscription);
        self.disowns_listener(connection.session, &subscription.stream, &subscription.listener);
        let operation = Operation {
            identity: Some(Identity { session: connection.session, sequence }),
            request: Request::Stream(subscription.detach()),
        };
        let connection = Arc::clone(connection);
        self.operations.apply(
            vec![operation],
            Box::new(move |mut outcomes| {
                connection.answer(asked, sequence, outcomes.pop().unwrap_or(Ok(None)));
            }),
        );
    }

    /// Answers when the stream has, or has had, a listener.
    pub(super) fn wait_for_listener(self: &Arc<Self>, stream: &str, waiter: Waiter) {
        let stream: Arc<str> = Arc::from(stream);
        {
            let mut waits = lock(&self.listener_waits);
            let waiters = waits.entry(Arc::clone(&stream)).or_default();
            // Each follows the stream for itself.
            for _ in waiters.extract_if(.., |waiter| !waiter.is_alive()) {
                self.engine.unfollow(Subject::Stream(Arc::clone(&stream)));
            }
            waiters.push(waiter);
        }
        self.engine.follow(Subject::Stream(Arc::clone(&stream)));
        let request = v1::GetStreamRequest { stream: stream.to_string() };
        let request = Request::Stream(StreamRequest::Get(request));
        let broker = Arc::clone(self);
        self.operations.apply(
            vec![Operation { identity: None, request }],
            Box::new(move |mut outcomes| match outcomes.pop() {
                Some(Ok(Some(Response::GetStream(v1::GetStreamResponse { stream: Some(record) }))))
                    if record.listened =>
                {
                    broker.tell_listener_waits(&stream, Ok(None));
                }
                Some(Err(error)) => broker.tell_listener_waits(&stream, Err(error)),
                _ => {}
            }),
        );
    }

    /// A stream has its first listener.
    pub(super) fn stream_listened(&self, stream: &str) {
        self.tell_listener_waits(stream, Ok(None));
    }

    /// A stream is gone, and will never have one.
    pub(super) fn stream_gone(&self, stream: &str) {
        self.tell_listener_waits(stream, Err(destroyed(stream)));
    }

    fn tell_listener_waits(&self, stream: &str, outcome: Outcome) {
        let waiters = lock(&self.listener_waits).remove(stream);
        for waiter in waiters.into_iter().flatten() {
            self.engine.unfollow(Subject::Stream(Arc::from(stream)));
            waiter.tell(outcome.clone());
        }
    }

    /// A page of items.
    pub(super) fn read_items(
        &self,
        request: v1::ReadItemsRequest,
        done: impl FnOnce(Result<v1::ReadItemsResponse>) + Send + 'static,
    ) {
        let limits = &self.config.limits;
        let limit = if request.limit == 0 { 1000 } else { u64::from(request.limit) };
        let read = ReadItems {
            stream: Arc::from(request.stream),
            listener: None,
            from_key: request.from_key.unwrap_or(i64::MIN),
            max_items: limit.min(limits.credit_items),
            // A message holds more than the values.
            max_bytes: limits.message_bytes / 2,
        };
        self.engine.read_items(
            read,
            Box::new(move |items| {
                done(items.map(|items| v1::ReadItemsResponse {
                    batches: items.batches,
                    end: items.end,
                    step: items.step,
                }));
            }),
        );
    }
}
