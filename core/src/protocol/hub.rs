use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use bytes::Bytes;
use perper_proto::v1::{self, request};
use tokio::sync::{Notify, watch};
use tonic::transport::{Channel, Endpoint};

use super::{
    fabric::Server,
    machines::{
        lease::{Due, Lease},
        session::{Class, Session},
    },
    random,
    reply::closed,
    request::{Body, Encoded, Waiter},
    settings::Settings,
    subscriptions::{Subscribed, Subscription},
    writer::WriterShared,
};
use crate::{Error, ErrorKind, Result};

/// A poisoned lock means that a panic passed through code that only moves data between collections; what it left is
/// consistent enough to let everybody else fail by themselves.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the requests of all tasks and the frames of the one connection meet.
///
/// Requesters put what they want into the queue and wake the pump; the pump ([`super::pump`]) turns whatever waits
/// into one frame; the reader ([`super::dispatch`]) hands a whole frame's answers out. So there is one short lock per
/// request and one per frame, and no task and no channel per request.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) settings: Settings,
    /// For calls beside the session's stream; connects when it is first used.
    pub(super) unary_channel: Channel,
    // A std mutex: it is held for well under a microsecond, never across an await.
    pub(super) state: Mutex<State>,
    /// Counts what was created, so that writers know that their batch must not overtake it.
    creations: AtomicU64,
    /// The largest value that the server takes; 0 while it has not said. Beside the state, since writers ask per item.
    pub(super) value_bytes: AtomicU64,
    /// The lease's next moment has changed.
    pub(super) lease_changed: Notify,
    /// Somebody wants the connection to end.
    pub(super) closing: Notify,
    phase: watch::Sender<Phase>,
}

/// Holds the pump back.
pub(crate) struct Cork<'a>(&'a Hub);

impl Drop for Cork<'_> {
    fn drop(&mut self) {
        let pump = {
            let mut state = lock(&self.0.state);
            state.corks -= 1;
            if state.corks == 0 && std::mem::take(&mut state.corked) { state.wake_pump() } else { None }
        };
        wake_all(pump);
    }
}

/// What those can wait for who have no request.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Connecting,
    Ready,
    Ended(Error),
}

/// A reservation that this process works on.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) listen: u64,
    pub(super) bytes: u64,
    /// Its end has been requested here. If the answer is lost, the server, which knows it as ended, calls it revoked:
    /// whoever ended it need not hear that.
    pub(super) ending: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) session: Session<Body, Waiter>,
    pub(super) session_id: [u8; 16],
    /// The server has had this session.
    pub(super) known: bool,
    /// Numbers the connections: what belongs to a former one is ignored.
    pub(super) link: u64,
    pub(super) attached: bool,
    /// The server wants us gone from this connection: nothing new is sent on it.
    pub(super) draining: bool,
    /// Wakes the pump.
    pub(super) pump: Option<Waker>,
    /// As long as there are any, nobody wakes the pump.
    corks: usize,
    /// Somebody would have.
    corked: bool,
    pub(super) heartbeat: bool,
    pub(super) lease: Lease,
    pub(super) next_subscription: u64,
    pub(super) subscriptions: HashMap<u64, Subscribed>,
    /// From the sequence on the present connection to the subscription.
    pub(super) routes: HashMap<u64, u64>,
    pub(super) dirty: Vec<u64>,
    /// The last acknowledgements of named listeners that are to be detached. A server takes requests before credits, so
    /// they go in a frame of their own, before the detaching and before whoever attaches under that name next.
    pub(super) farewells: Vec<v1::Credit>,
    pub(super) held: HashMap<Bytes, Held>,
    pub(super) closing: bool,
    pub(super) close_sent: bool,
    pub(super) failed: Option<Error>,
    pub(super) hello: Option<v1::HelloResponse>,
}

impl State {
    pub(super) fn wake_pump(&mut self) -> Option<Waker> {
        if self.corks > 0 {
            self.corked = true;
            return None;
        }
        self.pump.take()
    }

    pub(super) fn limits(&self) -> v1::Limits {
        self.hello.as_ref().and_then(|hello| hello.limits).unwrap_or_default()
    }

    /// A reservation is over, whoever ended it. Gives the consumer to wake.
    pub(super) fn end_reservation(&mut self, reservation: &Bytes) -> Option<Waker> {
        let held = self.held.remove(reservation)?;
        let subscribed = self.subscriptions.get(&held.listen)?;
        let Subscription::Listen(listen) = &subscribed.to else { return None };
        let (grant, waker) = listen.ended(held.bytes);
        if grant {
            self.mark_dirty(held.listen);
        }
        waker
    }

    pub(super) fn mark_dirty(&mut self, id: u64) {
        if let Some(subscribed) = self.subscriptions.get_mut(&id)
            && !std::mem::replace(&mut subscribed.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// Tells every listen whose reservations are over, and forgets them. Gives the consumers to wake.
    pub(super) fn revoke_all(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for (reservation, held) in std::mem::take(&mut self.held) {
            let Some(subscribed) = self.subscriptions.get(&held.listen) else { continue };
            let Subscription::Listen(listen) = &subscribed.to else { continue };
            let listen = listen.clone();
            let (grant, waker) = listen.ended(held.bytes);
            if grant {
                self.mark_dirty(held.listen);
            }
            wakers.extend(waker);
            if !held.ending {
                wakers.extend(listen.revoked(reservation, ErrorKind::ReservationLost));
            }
        }
        wakers
    }
}

pub(super) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

impl Hub {
    /// Must be called within a tokio runtime.
    pub(super) fn new(settings: Settings, endpoint: &Endpoint) -> Result<Self> {
        Ok(Hub {
            settings,
            unary_channel: endpoint.connect_lazy(),
            state: Mutex::new(State {
                session: Session::new(),
                session_id: random::bytes_128()?,
                known: false,
                link: 0,
                attached: false,
                draining: false,
                pump: None,
                corks: 0,
                corked: false,
                heartbeat: false,
                lease: Lease::new(now()),
                next_subscription: 1,
                subscriptions: HashMap::new(),
                routes: HashMap::new(),
                dirty: Vec::new(),
                farewells: Vec::new(),
                held: HashMap::new(),
                closing: false,
                close_sent: false,
                failed: None,
                hello: None,
            }),
            creations: AtomicU64::new(0),
            value_bytes: AtomicU64::new(0),
            lease_changed: Notify::new(),
            closing: Notify::new(),
            phase: watch::Sender::new(Phase::Connecting),
        })
    }

    /// Queues a request; `creates`, when later ones may refer to what it makes. Gives its sequence; 0 when there is
    /// nobody any more to send it to, and the waiter has been told.
    pub(crate) fn push(&self, class: Class, body: Body, waiter: Waiter, creates: bool) -> u64 {
        let (sequence, pump) = {
            let mut state = lock(&self.state);
            if let Some(error) = &state.failed {
                let error = error.clone();
                drop(state);
                waiter.fail(error);
                return 0;
            }
            if creates {
                self.creations.fetch_add(1, Ordering::Release);
            }
            if let Waiter::Reservation(reservation, _) = &waiter
                && let Some(held) = state.held.get_mut(reservation)
            {
                held.ending = true;
            }
            (state.session.push(class, body, waiter), state.wake_pump())
        };
        wake_all(pump);
        sequence
    }

    /// Lets requests gather until the cork goes, for those who have many to make: the pump, on a thread of its own, would
    /// else send a frame for each of the first. Only as long as nothing is waited for.
    pub(crate) fn cork(&self) -> Cork<'_> {
        lock(&self.state).corks += 1;
        Cork(self)
    }

    /// How many creations have been requested.
    pub(crate) fn creations(&self) -> u64 {
        self.creations.load(Ordering::Acquire)
    }

    /// Queues the next batch of a writer.
    pub(crate) fn push_batch(&self, writer: &Arc<WriterShared>) {
        // The waiter learns the batch's size when it is sealed.
        let waiter = Waiter::Batch(writer.clone());
        self.push(Class::Mutation, Body::Batch(writer.clone()), waiter, false);
    }

    /// Whether a request is small enough for the wire, before it is queued: a frame past the limit would end the
    /// connection for everybody.
    pub(crate) fn check_size(&self, operation: &request::Request) -> Result<()> {
        let limit = lock(&self.state).limits().message_bytes;
        if limit == 0 {
            return Ok(());
        }
        let length = Encoded::len_of(operation) + FRAME_OVERHEAD;
        if length <= limit {
            return Ok(());
        }
        let message = format!(
            "the request is {length} bytes long, more than the {limit} that the Fabric takes; split it, or raise its \
             limit"
        );
        Err(Error::new(ErrorKind::LimitExceeded, message).with("bytes", length).with("limit", limit))
    }

    /// A caller lost interest: takes the call back if it was not sent, cancels the execution if it was.
    pub(crate) fn abandon_call(&self, sequence: u64, execution: &str) {
        let pump = {
            let mut state = lock(&self.state);
            if state.failed.is_some() || state.session.withdraw(sequence).is_some() {
                return;
            }
            let cancel = v1::CancelExecutionRequest { execution: execution.to_owned(), identity: None };
            let body = Body::Encoded(Encoded::new(request::Request::CancelExecution(cancel)));
            state.session.push(Class::Mutation, body, Waiter::Nobody);
            state.wake_pump()
        };
        wake_all(pump);
    }

    pub(crate) fn value_bytes(&self) -> Option<u64> {
        Some(self.value_bytes.load(Ordering::Relaxed)).filter(|&limit| limit > 0)
    }

    pub(crate) fn server(&self) -> Option<Server> {
        let hello = lock(&self.state).hello.clone()?;
        let limits = hello.limits.unwrap_or_default();
        Some(Server {
            version: hello.server_version,
            cluster_id: hello.cluster_id,
            protocol: hello.protocol,
            features: hello.features,
            value_bytes: limits.value_bytes,
            key_bytes: limits.key_bytes,
            dictionary_operations: limits.dictionary_operations,
            depth: limits.depth,
        })
    }

    pub(crate) async fn ready(&self) -> Result<()> {
        let mut phase = self.phase.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let phase = phase.wait_for(|phase| !matches!(phase, Phase::Connecting)).await;
        match phase.as_deref() {
            Ok(Phase::Ended(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(closed()),
        }
    }

    pub(super) fn set_ready(&self) {
        self.phase.send_if_modified(|phase| {
            let changed = matches!(phase, Phase::Connecting);
            if changed {
                *phase = Phase::Ready;
            }
            changed
        });
    }

    /// Ends the session once what is queued has been sent.
    pub(crate) fn close(&self) {
        let pump = {
            let mut state = lock(&self.state);
            state.closing = true;
            state.wake_pump()
        };
        wake_all(pump);
        self.closing.notify_one();
    }

    pub(crate) async fn closed(&self) {
        let mut phase = self.phase.subscribe();
        drop(phase.wait_for(|phase| matches!(phase, Phase::Ended(_))).await);
    }

    /// Everything ends: everybody who waits, now or later, gets the error.
    pub(super) fn fail(&self, error: Error) {
        let (waiters, subscriptions, pump) = {
            let mut state = lock(&self.state);
            if state.failed.is_some() {
                return;
            }
            state.failed = Some(error.clone());
            state.attached = false;
            state.link += 1;
            state.routes.clear();
            state.held.clear();
            let subscriptions = std::mem::take(&mut state.subscriptions);
            (state.session.drain(), subscriptions, state.wake_pump())
        };
        wake_all(pump);
        for waiter in waiters {
            waiter.fail(error.clone());
        }
        for subscribed in subscriptions.into_values() {
            subscribed.to.fail(error.clone());
        }
        self.phase.send_replace(Phase::Ended(error));
    }

    /// Does what the lease has come due for, and tells when to ask again.
    pub(super) fn tend_lease(&self) -> Option<Instant> {
        let mut wakers = Vec::new();
        let next = {
            let mut state = lock(&self.state);
            match state.lease.due(now()) {
                Due::Nothing => {}
                Due::Heartbeat => {
                    state.heartbeat = true;
                    wakers.extend(state.wake_pump());
                }
                Due::Revoke => {
                    if !state.held.is_empty() {
                        tracing::warn!(
                            reservations = state.held.len(),
                            "the session's lease could not be renewed in time; cancelling what runs under it"
                        );
                    }
                    state.lease.revoked();
                    wakers = state.revoke_all();
                }
            }
            state.lease.next()
        };
        wake_all(wakers);
        next
    }
}

impl Waiter {
    /// Tells whoever waits that it failed.
    pub(super) fn fail(self, error: Error) {
        match self {
            // Whoever has stopped waiting does not mind.
            Waiter::Reply(sender) | Waiter::Reservation(_, sender) => _ = sender.send(Err(error)),
            Waiter::End(sender) => _ = sender.send(Err(error)),
            Waiter::Batch(writer) => wake_all(writer.settled(Err(error))),
            Waiter::Subscription(_) | Waiter::Nobody => {}
        }
    }
}

/// What a frame has around one request, at most.
const FRAME_OVERHEAD: u64 = 64;

/// The clock of everything here: tokio's, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
