use std::sync::Arc;

use perper_proto::v1::{self, request};

use super::{
    hub::{Hub, State, lock, wake_all},
    items::ItemsShared,
    listen::{self, ListenShared},
    machines::{
        credit::{Amount, Credit},
        session::Class,
    },
    request::{Body, Encoded, Waiter},
};
use crate::Error;

/// Somebody to whom the server sends events.
#[derive(Clone, Debug)]
pub(crate) enum Subscription {
    Listen(Arc<ListenShared>),
    Items(Arc<ItemsShared>),
}

#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) to: Subscription,
    /// The request that asked for it on the present connection, or on the last one; 0 before the first.
    pub(super) sequence: u64,
    /// It is on the list of those that have credit to send.
    pub(super) dirty: bool,
}

impl Subscription {
    pub(super) fn fail(&self, error: Error) {
        let waker = match self {
            Subscription::Listen(listen) => listen.failed(error),
            Subscription::Items(items) => items.ended(Err(error)),
        };
        wake_all(waker);
    }
}

impl State {
    /// Asks for a subscription on the present connection.
    pub(super) fn begin_subscription(&mut self, id: u64) {
        let Some(subscribed) = self.subscriptions.get_mut(&id) else { return };
        let request = match &subscribed.to {
            Subscription::Listen(listen) => listen.begin(),
            // The number of the subscription is the listener's place: the same after a reconnect.
            Subscription::Items(items) => items.begin(id),
        };
        let waiter = Waiter::Subscription(id);
        let sequence = self.session.push(Class::Subscription, Body::Encoded(request), waiter);
        subscribed.sequence = sequence;
        self.routes.insert(sequence, id);
    }

    pub(super) fn push_detach(&mut self, listener: u64) {
        let request = v1::DetachListenerRequest { listener, identity: None };
        let body = Body::Encoded(Encoded::new(request::Request::DetachListener(request)));
        self.session.push(Class::Mutation, body, Waiter::Nobody);
    }
}

/// What those do who subscribe.
impl Hub {
    pub(crate) fn subscribe(&self, to: Subscription) -> u64 {
        let (id, pump) = {
            let mut state = lock(&self.state);
            let id = state.next_subscription;
            state.next_subscription += 1;
            if let Some(error) = &state.failed {
                let error = error.clone();
                drop(state);
                to.fail(error);
                return id;
            }
            state.subscriptions.insert(id, Subscribed { to, sequence: 0, dirty: false });
            if state.attached {
                state.begin_subscription(id);
            }
            (id, state.wake_pump())
        };
        wake_all(pump);
        id
    }

    /// A subscription has credit or an acknowledgement to send.
    pub(crate) fn credit(&self, id: u64) {
        let pump = {
            let mut state = lock(&self.state);
            state.mark_dirty(id);
            state.wake_pump()
        };
        wake_all(pump);
    }

    /// A listen takes no more executions, but still hears of those that it has.
    pub(crate) fn unlisten(&self, id: u64) {
        let pump = {
            let mut state = lock(&self.state);
            let Some(sequence) = state.subscriptions.get(&id).map(|subscribed| subscribed.sequence) else {
                return;
            };
            let routed = state.routes.contains_key(&sequence);
            if !routed || state.session.withdraw(sequence).is_some() {
                return;
            }
            let (body, waiter) = listen::unlisten(sequence);
            state.session.push(Class::Read, Body::Encoded(body), waiter);
            state.wake_pump()
        };
        wake_all(pump);
    }

    /// A listen is gone: nobody hears of its reservations any more.
    pub(crate) fn unsubscribe(&self, id: u64) {
        let mut state = lock(&self.state);
        if let Some(subscribed) = state.subscriptions.remove(&id) {
            state.routes.remove(&subscribed.sequence);
        }
    }

    /// A listener is gone: stops the delivery without waiting.
    pub(crate) fn detach(&self, id: u64) {
        let pump = {
            let mut state = lock(&self.state);
            let Some(subscribed) = state.subscriptions.remove(&id) else { return };
            let sequence = subscribed.sequence;
            let routed = state.routes.remove(&sequence).is_some();
            let Subscription::Items(items) = &subscribed.to else { return };
            if sequence == 0 || items.has_failed() || state.session.withdraw(sequence).is_some() {
                return;
            }
            let processed = items.grant().and_then(|(_, processed)| processed).filter(|_| items.is_named());
            if routed && processed.is_some() {
                let credit =
                    v1::Credit { subscription: sequence, acknowledged_key: processed, ..Default::default() };
                state.farewells.push(credit);
            } else if routed {
                state.push_detach(sequence);
            } else if !items.is_named() {
                // The connection that knew it by that number is gone: find it by its place, then let it go.
                let body = Body::Encoded(items.begin_leaving(id));
                let sequence = state.session.push(Class::Mutation, body, Waiter::Nobody);
                state.push_detach(sequence);
            }
            state.wake_pump()
        };
        wake_all(pump);
    }

    /// A listen's window within the server's limits.
    pub(crate) fn cut_listen(&self, window: Amount) -> Amount {
        let limits = lock(&self.state).limits();
        cut(window, limits.credit_executions, &limits)
    }

    /// A listener's window within the server's limits.
    pub(crate) fn cut_listener(&self, window: Amount) -> Amount {
        let limits = lock(&self.state).limits();
        cut(window, limits.credit_items, &limits)
    }
}

/// A window within the limits of the server, but wide enough for its largest value: a smaller one would wait for ever.
fn cut(mut window: Amount, count: u64, limits: &v1::Limits) -> Amount {
    window.bytes = window.bytes.max(limits.value_bytes);
    Credit::cut(window, Amount { count, bytes: limits.credit_bytes })
}
