use std::{sync::atomic::Ordering, task::Waker, time::Duration};

use bytes::Bytes;
use perper_proto::{
    Reason,
    v1::{self, notice, response, response::Response},
};

use super::{
    executions::end_to_result,
    hub::{Held, Hub, State, lock, now, wake_all},
    listen::Activation,
    machines::{
        retry::is_postponed,
        session::{Answered, Class},
    },
    request::{Answer, Body, Encoded, Waiter},
    subscriptions::Subscription,
};
use crate::{Error, ErrorKind, Result};

/// What came of a frame and waits for the lock to be free: whoever is woken under it would run into it.
#[derive(Default)]
struct Told {
    answers: Vec<(Waiter, Answer)>,
    ends: Vec<(Waiter, Result<Vec<Bytes>>)>,
    wakers: Vec<Waker>,
}

impl Told {
    fn tell(self) {
        for (waiter, answer) in self.answers {
            match waiter {
                // Whoever has stopped waiting does not mind.
                Waiter::Reply(sender) | Waiter::Reservation(_, sender) => _ = sender.send(answer),
                Waiter::End(sender) => _ = sender.send(answer.map(|_| Vec::new())),
                Waiter::Batch(writer) => wake_all(writer.settled(answer.map(drop))),
                Waiter::Subscription(_) | Waiter::Nobody => {}
            }
        }
        for (waiter, end) in self.ends {
            if let Waiter::End(sender) = waiter {
                _ = sender.send(end);
            }
        }
        wake_all(self.wakers);
    }
}

impl Hub {
    /// Hands out what one frame of the server brings.
    pub(super) fn dispatch(&self, link: u64, frame: v1::ServerFrame) {
        let mut told = Told::default();
        {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            if state.link != link {
                return;
            }
            for sequence in frame.succeeded {
                let answered = state.session.succeeded(sequence);
                state.settle(answered, Ok(None), &mut told);
            }
            for response in frame.responses {
                state.respond(response, &mut told);
            }
            for activation in frame.activations {
                state.activate(activation, &mut told);
            }
            for revocation in frame.revocations {
                state.revoke(revocation, &mut told);
            }
            for completion in frame.completions {
                if let Some(waiter) = state.session.completed(completion.sequence) {
                    told.ends.push((waiter, end_to_result(completion.end)));
                }
            }
            for delivery in frame.deliveries {
                if let Some(Subscription::Items(items)) = state.route(delivery.listener) {
                    let waker = items.delivered(delivery.batches);
                    told.wakers.extend(waker);
                }
            }
            for notice in frame.notices {
                state.notice(notice, &mut told);
            }
            state.draining |= frame.draining;
            if !state.draining
                && (state.session.can_take() || state.session.has_received() || !state.dirty.is_empty())
            {
                told.wakers.extend(state.wake_pump());
            }
        }
        told.tell();
    }

    /// The server has attached the session: subscriptions and waits begin anew, what had no answer goes first.
    pub(super) fn attached(&self, link: u64, attached: v1::Attached) -> bool {
        let mut told = Told::default();
        {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            if state.link != link || state.failed.is_some() {
                return false;
            }
            let hello = attached.hello.unwrap_or_default();
            if let Some(before) = &state.hello
                && before.cluster_id != hello.cluster_id
            {
                tracing::warn!(
                    before = before.cluster_id,
                    now = hello.cluster_id,
                    "this is another Fabric, with other data, than the one connected to before"
                );
            }
            let limits = hello.limits.unwrap_or_default();
            self.value_bytes.store(limits.value_bytes, Ordering::Relaxed);
            let unlimited = limits.requests_in_flight == 0;
            state.session.limit(if unlimited { u64::MAX } else { limits.requests_in_flight });
            state.hello = Some(hello);
            let [lease, grace] = [attached.lease_ms, attached.reset_grace_ms].map(Duration::from_millis);
            state.lease.attached(lease, grace, now());
            if state.known {
                state.session.resumed();
            }
            state.known = true;
            state.attached = true;
            state.resubscribe();
            told.wakers.extend(state.wake_pump());
        }
        self.lease_changed.notify_one();
        told.tell();
        self.set_ready();
        true
    }

    /// Begins another connection: gives its number and the first message on it.
    pub(super) fn begin_link(&self) -> (u64, v1::Attach) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.link += 1;
        state.draining = false;
        let settings = &self.settings;
        let attach = v1::Attach {
            session: Bytes::copy_from_slice(&state.session_id),
            hello: Some(v1::HelloRequest {
                library: settings.library.clone(),
                language: settings.language.clone(),
                version: settings.version.clone(),
                protocol_min: PROTOCOL,
                protocol_max: PROTOCOL,
                features: Vec::new(),
            }),
            resume: state.known,
            held_reservations: state.held.keys().cloned().collect(),
        };
        (state.link, attach)
    }

    /// The connection is gone.
    pub(super) fn lost(&self, link: u64) {
        let pump = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            if state.link != link {
                return;
            }
            // What still comes of it is nobody's.
            state.link += 1;
            state.attached = false;
            state.heartbeat = false;
            state.close_sent = false;
            state.routes.clear();
            state.farewells.clear();
            state.lease.lost(now());
            if state.draining {
                state.lease.server_gone();
            }
            // Subscriptions are asked for anew in any case.
            drop(state.session.lost());
            state.wake_pump()
        };
        wake_all(pump);
        self.lease_changed.notify_one();
    }

    /// Nobody listens where the server was: it has ended, and counts no grace.
    pub(super) fn server_gone(&self) {
        lock(&self.state).lease.server_gone();
        self.lease_changed.notify_one();
    }

    /// The server does not know the session any more: another one begins.
    pub(super) fn expired(&self, session_id: [u8; 16]) {
        let mut told = Told::default();
        {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            state.session_id = session_id;
            state.known = false;
            state.lease.revoked();
            told.wakers = state.revoke_all();
            for subscribed in state.subscriptions.values_mut() {
                subscribed.sequence = 0;
            }
            for waiter in state.session.expired() {
                let error = Error::new(
                    ErrorKind::OutcomeUnknown,
                    "the session lapsed before the outcome came: it may or may not have taken effect; find out \
                     before you repeat it",
                );
                told.answers.push((waiter, Err(error)));
            }
        }
        told.tell();
    }
}

/// The version of the protocol that this library speaks.
const PROTOCOL: u32 = 1;

impl State {
    fn route(&self, sequence: u64) -> Option<&Subscription> {
        let id = self.routes.get(&sequence)?;
        self.subscriptions.get(id).map(|subscribed| &subscribed.to)
    }

    fn settle(&mut self, answered: Answered<Body, Waiter>, answer: Answer, told: &mut Told) {
        let Answered::Done(_, waiter) = answered else { return };
        match waiter {
            Waiter::Reservation(reservation, sender) => {
                let over = match &answer {
                    Ok(_) => true,
                    Err(error) => ends_reservation(error.kind()),
                };
                if over {
                    told.wakers.extend(self.end_reservation(&reservation));
                } else if let Some(held) = self.held.get_mut(&reservation) {
                    held.ending = false;
                }
                told.answers.push((Waiter::Reservation(reservation, sender), answer));
            }
            Waiter::Subscription(id) => self.subscribed(id, answer, told),
            Waiter::Nobody => {}
            waiter => told.answers.push((waiter, answer)),
        }
    }

    fn respond(&mut self, response: v1::Response, told: &mut Told) {
        let sequence = response.sequence;
        match response.response {
            Some(Response::Error(error)) => {
                let error = Error::from_proto(error);
                if is_postponed(error.kind()) {
                    self.session.postponed(sequence);
                    self.draining = true;
                    return;
                }
                let answered = self.session.failed(sequence);
                self.settle(answered, Err(error), told);
            }
            answer => {
                let answered = self.session.succeeded(sequence);
                if matches!(answer, Some(Response::StartInstance(_))) {
                    self.session.note_received(sequence);
                }
                self.settle(answered, Ok(answer), told);
            }
        }
    }

    fn subscribed(&mut self, id: u64, answer: Answer, told: &mut Told) {
        let Some(subscribed) = self.subscriptions.get(&id) else { return };
        match (&subscribed.to, answer) {
            (Subscription::Items(items), Ok(answer)) => {
                let response = match answer {
                    Some(response::Response::AttachListener(response)) => response,
                    // Nothing to say: the stream begins at key 0.
                    _ => v1::AttachListenerResponse::default(),
                };
                told.wakers.extend(items.attached(&response));
            }
            (Subscription::Listen(_), Ok(_)) => {}
            (Subscription::Items(items), Err(error)) => {
                self.routes.remove(&subscribed.sequence);
                told.wakers.extend(items.ended(Err(error)));
            }
            (Subscription::Listen(listen), Err(error)) => {
                self.routes.remove(&subscribed.sequence);
                told.wakers.extend(listen.failed(error));
            }
        }
    }

    fn activate(&mut self, activation: v1::Activation, told: &mut Told) {
        let id = self.routes.get(&activation.listen).copied();
        let to = id.and_then(|id| self.subscriptions.get(&id)).map(|subscribed| &subscribed.to);
        let (Some(id), Some(Subscription::Listen(listen))) = (id, to) else {
            // Nobody listens any more: somebody else shall have it.
            let request = v1::ReleaseExecutionRequest {
                execution: activation.execution,
                reservation: activation.reservation,
                identity: None,
            };
            let body = Body::Encoded(Encoded::new(v1::request::Request::ReleaseExecution(request)));
            self.session.push(Class::Mutation, body, Waiter::Nobody);
            return;
        };
        let activation = Activation::from(activation);
        let bytes = activation.size();
        let reservation = activation.reservation.clone();
        told.wakers.extend(listen.activated(activation, bytes));
        self.held.insert(reservation, Held { listen: id, bytes, ending: false });
    }

    fn revoke(&mut self, revocation: v1::Revocation, told: &mut Told) {
        let Some(held) = self.held.get(&revocation.reservation) else { return };
        if held.ending {
            return;
        }
        let Some(subscribed) = self.subscriptions.get(&held.listen) else {
            self.held.remove(&revocation.reservation);
            return;
        };
        if let Subscription::Listen(listen) = &subscribed.to {
            let reason = Reason::from_name(&revocation.reason).unwrap_or(Reason::ReservationLost);
            let reason = Error::from_proto(reason.error("")).kind();
            told.wakers.extend(listen.revoked(revocation.reservation.clone(), reason));
        }
        told.wakers.extend(self.end_reservation(&revocation.reservation));
    }

    fn notice(&mut self, notice: v1::Notice, told: &mut Told) {
        let Some(to) = self.route(notice.subscription) else { return };
        // After a good end the listener still has to say how far it is.
        let over = matches!(notice.notice, Some(notice::Notice::Error(_)));
        let waker = match (to, notice.notice) {
            (Subscription::Listen(listen), Some(notice::Notice::StartReached(_))) => listen.start_reached(),
            (Subscription::Listen(listen), Some(notice::Notice::Error(error))) => {
                listen.failed(Error::from_proto(error))
            }
            (Subscription::Items(items), Some(notice::Notice::Error(error))) => {
                items.ended(Err(Error::from_proto(error)))
            }
            (Subscription::Items(items), Some(notice::Notice::End(end))) => items.ended(Ok(end.into())),
            _ => None,
        };
        told.wakers.extend(waker);
        if over {
            self.routes.remove(&notice.subscription);
        }
    }

    /// Asks for every subscription that is not over, on a connection that knows of none.
    fn resubscribe(&mut self) {
        let mut ids: Vec<u64> = self.subscriptions.keys().copied().collect();
        // In the order in which they were made, so that runs are alike.
        ids.sort_unstable();
        for id in ids {
            let over = match self.subscriptions.get(&id).map(|subscribed| &subscribed.to) {
                Some(Subscription::Listen(listen)) => listen.is_stopped(),
                Some(Subscription::Items(items)) => items.is_over(),
                None => true,
            };
            if !over {
                self.begin_subscription(id);
            }
        }
    }
}

/// Whether an execution is out of this process' hands when completing or releasing it failed like that.
fn ends_reservation(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::ReservationLost
            | K::NotFound
            | K::OwnerGone
            | K::ExecutionCompleted
            | K::ExecutionCancelled
            | K::ExecutionExpired
            | K::DeadlineExceeded
            | K::OutcomeUnknown
    )
}
