use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::v1;

use super::connection::Connection;
use super::listeners::destroyed;
use crate::engine::{Engine, Items, ReadItems, Result, StreamRequest, Subject, listener_removed, taken_over};
use crate::metrics::Metrics;

/// Sends items to attached listeners, each at its own pace.
///
/// A listener is a place in the log and a credit. Whenever either moves, the next items are read from the engine: from
/// memory for those who keep up, from the store for those who do not. So a slow listener costs nothing but its place.
pub(super) struct Deliveries {
    engine: Arc<dyn Engine>,
    metrics: Arc<Metrics>,
    // A plain mutex, held for look-ups.
    streams: Mutex<HashMap<Arc<str>, Vec<Arc<Subscription>>>>,
}

/// One attached listener.
pub(super) struct Subscription {
    pub(super) connection: Arc<Connection>,
    /// Sequence of the attach.
    pub(super) sequence: u64,
    pub(super) stream: Arc<str>,
    /// The listener's record.
    pub(super) listener: Arc<str>,
    pub(super) epoch: u64,
    place: Mutex<Place>,
}

struct Place {
    next_key: i64,
    items: u64,
    bytes: u64,
    /// A read is under way; there is one at a time, so that items come in order.
    reading: bool,
    /// Something moved while a read was under way.
    moved: bool,
    over: bool,
}

/// What is left to do after a look at a place.
enum Step {
    Read(ReadItems),
    Wait,
}

impl Subscription {
    pub(super) fn new(
        connection: Arc<Connection>,
        sequence: u64,
        stream: Arc<str>,
        listener: Arc<str>,
        attached: &v1::AttachListenerResponse,
        credit: (u64, u64),
    ) -> Arc<Self> {
        let (items, bytes) = credit;
        let place =
            Place { next_key: attached.start_key, items, bytes, reading: false, moved: false, over: false };
        Arc::new(Self {
            connection,
            sequence,
            stream,
            listener,
            epoch: attached.epoch,
            place: Mutex::new(place),
        })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_step(&self) -> Step {
        let mut place = self.place();
        if place.over || place.items == 0 || place.bytes == 0 {
            return Step::Wait;
        }
        if place.reading {
            place.moved = true;
            return Step::Wait;
        }
        place.reading = true;
        place.moved = false;
        Step::Read(ReadItems {
            stream: Arc::clone(&self.stream),
            listener: Some((Arc::clone(&self.listener), self.epoch)),
            from_key: place.next_key,
            max_items: place.items,
            max_bytes: place.bytes,
        })
    }

    /// The request that detaches the listener.
    pub(super) fn detach(&self) -> StreamRequest {
        StreamRequest::DetachListener {
            stream: self.stream.to_string(),
            listener: self.listener.to_string(),
            epoch: self.epoch,
        }
    }

    /// Ends delivery; false if it is over already.
    pub(super) fn end(&self) -> bool {
        !std::mem::replace(&mut self.place().over, true)
    }
}

impl Deliveries {
    pub(super) fn new(engine: Arc<dyn Engine>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { engine, metrics, streams: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Arc<Subscription>>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attach(self: &Arc<Self>, subscription: &Arc<Subscription>) {
        let stream = &subscription.stream;
        self.lock().entry(Arc::clone(stream)).or_default().push(Arc::clone(subscription));
        self.engine.follow(Subject::Stream(Arc::clone(stream)));
        self.pump(subscription);
    }

    pub(super) fn detach(&self, subscription: &Arc<Subscription>) {
        subscription.end();
        let mut streams = self.lock();
        let Some(subscriptions) = streams.get_mut(&subscription.stream) else { return };
        let before = subscriptions.len();
        subscriptions.retain(|other| !Arc::ptr_eq(other, subscription));
        // What has ended by itself is detached once more with its connection.
        let removed = subscriptions.len() < before;
        if subscriptions.is_empty() {
            streams.remove(&subscription.stream);
        }
        drop(streams);
        if removed {
            self.engine.unfollow(Subject::Stream(Arc::clone(&subscription.stream)));
        }
    }

    /// More credit.
    pub(super) fn grant(
        self: &Arc<Self>,
        subscription: &Arc<Subscription>,
        credit: (u64, u64),
        most: (u64, u64),
    ) {
        let mut place = subscription.place();
        place.items = place.items.saturating_add(credit.0).min(most.0);
        place.bytes = place.bytes.saturating_add(credit.1).min(most.1);
        drop(place);
        self.pump(subscription);
    }

    /// A stream has changed.
    pub(super) fn changed(self: &Arc<Self>, stream: &str) {
        let Some(subscriptions) = self.lock().get(stream).cloned() else { return };
        for subscription in &subscriptions {
            self.pump(subscription);
        }
    }

    /// A stream is gone.
    pub(super) fn destroyed(&self, stream: &str) {
        let subscriptions = self.lock().get(stream).cloned().unwrap_or_default();
        for subscription in subscriptions {
            self.finish(&subscription, v1::notice::Notice::Error(destroyed(stream)));
        }
    }

    /// Another client has taken a listener over.
    pub(super) fn taken_over(&self, stream: &str, listener: &str, epoch: u64) {
        self.over(stream, listener, epoch, &taken_over(stream, listener));
    }

    /// A listener was removed.
    pub(super) fn removed(&self, stream: &str, listener: &str, epoch: u64) {
        self.over(stream, listener, epoch, &listener_removed(stream, listener));
    }

    fn over(&self, stream: &str, listener: &str, epoch: u64, error: &v1::Error) {
        let subscriptions = self.lock().get(stream).cloned().unwrap_or_default();
        for subscription in
            subscriptions.iter().filter(|other| *other.listener == *listener && other.epoch == epoch)
        {
            self.finish(subscription, v1::notice::Notice::Error(error.clone()));
        }
    }

    fn finish(&self, subscription: &Arc<Subscription>, notice: v1::notice::Notice) {
        // What ends it may be told, and found while reading.
        if subscription.end() {
            subscription.connection.notice(subscription.sequence, notice);
        }
        self.detach(subscription);
    }

    fn pump(self: &Arc<Self>, subscription: &Arc<Subscription>) {
        let Step::Read(request) = subscription.next_step() else { return };
        let this = Arc::clone(self);
        let subscription = Arc::clone(subscription);
        self.engine.read_items(request, Box::new(move |items| this.deliver(&subscription, items)));
    }

    fn deliver(self: &Arc<Self>, subscription: &Arc<Subscription>, items: Result<Items>) {
        let items = match items {
            Ok(items) => items,
            Err(error) => return self.finish(subscription, v1::notice::Notice::Error(error)),
        };
        let bytes: u64 = items.batches.iter().map(|batch| batch.values.len() as u64).sum();
        let mut place = subscription.place();
        place.reading = false;
        if place.over {
            return;
        }
        if let Some(last_key) = items.last_key {
            place.next_key = last_key.saturating_add(1);
        }
        place.items = place.items.saturating_sub(items.count);
        place.bytes = place.bytes.saturating_sub(bytes);
        let again = (items.count > 0 || place.moved) && items.end.is_none();
        // Sent under the lock of the place, so that a read on another thread cannot overtake this one.
        if items.count > 0 {
            self.metrics.stream_items_sent.inc_by(items.count);
            self.metrics.stream_bytes_sent.inc_by(bytes);
            let delivery = v1::Delivery { listener: subscription.sequence, batches: items.batches };
            subscription.connection.outbox.add(bytes as usize, |frame| frame.deliveries.push(delivery));
        }
        drop(place);
        if let Some(end) = items.end {
            return self.finish(subscription, v1::notice::Notice::End(end));
        }
        if again {
            self.pump(subscription);
        }
    }
}
