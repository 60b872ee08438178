use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use perper_proto::v1::{self, request};

use super::{
    fabric::Fabric,
    hub::lock,
    machines::credit::{Amount, Credit},
    request::{Encoded, Waiter},
    subscriptions::Subscription,
};
use crate::{Error, ErrorKind, Result};

/// Which executions a listen takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// The agent.
    pub agent: String,
    /// One instance of it; empty: any.
    pub instance: String,
    /// Any of these delegates; empty: any.
    pub delegates: Vec<String>,
}

impl From<ExecutionFilter> for v1::ExecutionFilter {
    fn from(filter: ExecutionFilter) -> Self {
        v1::ExecutionFilter { agent: filter.agent, instance: filter.instance, delegates: filter.delegates }
    }
}

/// When the credit that an activation used comes back, so that the Fabric may send another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreditReturn {
    /// When its reservation ends (completed, released or revoked): the window bounds how many are worked on at once.
    #[default]
    WhenEnded,
    /// When it is taken from [`Listen::next`]: the window bounds only what waits here.
    WhenTaken,
    /// Never by itself: only [`Listen::grant`] grants.
    Manual,
}

/// What to listen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Executions that match any of these.
    pub filters: Vec<ExecutionFilter>,
    /// Every work group gets every execution; the listens of one group share them. Empty is the default group.
    pub work_group: String,
    /// The window of credit, in executions.
    pub executions: u64,
    /// The window of credit, in bytes of executions: names, arguments and headers. Cut to what the server takes, and never less than its largest
    /// value.
    pub bytes: u64,
    /// When credit comes back.
    pub credit_return: CreditReturn,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            filters: Vec::new(),
            work_group: String::new(),
            executions: 256,
            bytes: 32 << 20,
            credit_return: CreditReturn::WhenEnded,
        }
    }
}

/// The stream that an activation's generator fills, and what earlier attempts left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedStream {
    /// Id.
    pub stream: String,
    /// The last key written, if any item was.
    pub last_key: Option<i64>,
    /// Items appended so far.
    pub items: u64,
    /// The stride of a packed stream, 0 of an unpacked one.
    pub stride: u64,
    /// The first key of a packed stream.
    pub first_key: i64,
}

/// An execution reserved for this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Id.
    pub execution: String,
    /// The agent called.
    pub agent: String,
    /// Its instance.
    pub instance: String,
    /// Which life of that instance; 0 for implicit ones.
    pub incarnation: u64,
    /// The delegate called.
    pub delegate: String,
    /// Each argument one CBOR value.
    pub arguments: Vec<Bytes>,
    /// Text to text, from the caller.
    pub headers: BTreeMap<String, String>,
    /// Time left, if there is a deadline.
    pub remaining: Option<Duration>,
    /// Proves the reservation: hand it to `complete_execution`, `release_execution`, writers and child calls.
    pub reservation: Bytes,
    /// 1 the first time; informational.
    pub attempt: u32,
    /// For a stream's generator: where it writes.
    pub linked_stream: Option<LinkedStream>,
}

impl From<v1::Activation> for Activation {
    fn from(activation: v1::Activation) -> Self {
        Activation {
            execution: activation.execution,
            agent: activation.agent,
            instance: activation.instance,
            incarnation: activation.incarnation,
            delegate: activation.delegate,
            arguments: activation.arguments,
            headers: activation.headers,
            remaining: (activation.remaining_ms > 0).then(|| Duration::from_millis(activation.remaining_ms)),
            reservation: activation.reservation,
            attempt: activation.attempt,
            linked_stream: activation.linked_stream.map(|linked| LinkedStream {
                stream: linked.stream,
                last_key: linked.last_key,
                items: linked.items,
                stride: linked.stride,
                first_key: linked.first_key,
            }),
        }
    }
}

/// What a listen tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenEvent {
    /// An execution is reserved: complete or release it.
    Activation(Box<Activation>),
    /// A reservation is over although nobody here ended it: stop its handler. Completing it has no effect any more.
    Revocation {
        /// The activation's.
        reservation: Bytes,
        /// [`ExecutionCancelled`](ErrorKind::ExecutionCancelled),
        /// [`DeadlineExceeded`](ErrorKind::DeadlineExceeded), [`OwnerGone`](ErrorKind::OwnerGone) or
        /// [`ReservationLost`](ErrorKind::ReservationLost).
        reason: ErrorKind,
    },
    /// What was pending when the listen began has been told. Once per listen.
    StartReached,
}

impl Activation {
    /// What it takes from the credit in bytes. The server counts the same: a difference would use the credit up.
    pub(crate) fn size(&self) -> u64 {
        let names = self.execution.len() + self.agent.len() + self.instance.len() + self.delegate.len();
        let arguments: usize = self.arguments.iter().map(Bytes::len).sum();
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        (names + arguments + headers) as u64
    }
}

pub(crate) struct ListenShared {
    filters: Vec<v1::ExecutionFilter>,
    work_group: String,
    credit_return: CreditReturn,
    state: Mutex<ListenState>,
}

struct ListenState {
    events: VecDeque<ListenEvent>,
    credit: Credit,
    /// Reservations of this listen that are not over.
    held: usize,
    stopped: bool,
    start_reached: bool,
    error: Option<Error>,
    waker: Option<Waker>,
}

impl fmt::Debug for ListenShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").field("filters", &self.filters).finish_non_exhaustive()
    }
}

/// What the hub tells a listen. Each gives the consumer to wake, for when the hub's lock is free again.
impl ListenShared {
    /// The request for a new connection.
    pub(crate) fn begin(&self) -> Encoded {
        let grant = lock(&self.state).credit.begin();
        Encoded::new(request::Request::Listen(v1::ListenRequest {
            filters: self.filters.clone(),
            work_group: self.work_group.clone(),
            credit_executions: grant.count,
            credit_bytes: grant.bytes,
        }))
    }

    pub(crate) fn activated(&self, activation: Activation, bytes: u64) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.credit.used(Amount { count: 1, bytes });
        state.held += 1;
        state.events.push_back(ListenEvent::Activation(Box::new(activation)));
        state.waker.take()
    }

    /// A reservation is over. True when credit is to be granted.
    pub(crate) fn ended(&self, bytes: u64) -> (bool, Option<Waker>) {
        let mut state = lock(&self.state);
        state.held = state.held.saturating_sub(1);
        let grant = self.credit_return == CreditReturn::WhenEnded
            && !state.stopped
            && state.credit.give_back(Amount { count: 1, bytes });
        let waker = if state.stopped { state.waker.take() } else { None };
        (grant, waker)
    }

    pub(crate) fn revoked(&self, reservation: Bytes, reason: ErrorKind) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.events.push_back(ListenEvent::Revocation { reservation, reason });
        state.waker.take()
    }

    pub(crate) fn start_reached(&self) -> Option<Waker> {
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.start_reached, true) {
            state.events.push_back(ListenEvent::StartReached);
        }
        state.waker.take()
    }

    pub(crate) fn failed(&self, error: Error) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.error.get_or_insert(error);
        state.waker.take()
    }

    pub(crate) fn grant(&self) -> Option<Amount> {
        let mut state = lock(&self.state);
        (!state.stopped && state.credit.has_returned()).then(|| state.credit.take())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.state).stopped
    }
}

/// Executions that come to this process, in batches of whatever has arrived.
///
/// A reconnect does not show, except that reservations which could not be held on to are revoked. Dropping the
/// listen stops it and releases the activations that were not taken; those that were taken stay reserved until they
/// are completed or released, or the session ends.
pub struct Listen {
    fabric: Fabric,
    shared: Arc<ListenShared>,
    id: u64,
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl Fabric {
    /// Listens for executions: first those pending now, then [`ListenEvent::StartReached`], then what comes.
    pub fn listen(&self, options: ListenOptions) -> Listen {
        let shared = Arc::new(ListenShared {
            filters: options.filters.into_iter().map(Into::into).collect(),
            work_group: options.work_group,
            credit_return: options.credit_return,
            state: Mutex::new(ListenState {
                events: VecDeque::new(),
                credit: Credit::new(
                    self.hub().cut_listen(Amount { count: options.executions, bytes: options.bytes }),
                ),
                held: 0,
                stopped: false,
                start_reached: false,
                error: None,
                waker: None,
            }),
        });
        let id = self.hub().subscribe(Subscription::Listen(shared.clone()));
        Listen { fabric: self.clone(), shared, id }
    }
}

impl Listen {
    /// Everything that has arrived since the last time, at least one event, waiting for it if need be.
    ///
    /// `None` after [`stop`](Listen::stop), once every reservation of this listen is over. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Result<Option<Vec<ListenEvent>>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Listen::next), for those who poll.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<ListenEvent>>>> {
        let mut grant = false;
        let poll = {
            let mut state = lock(&self.shared.state);
            if !state.events.is_empty() {
                let events: Vec<_> = state.events.drain(..).collect();
                if self.shared.credit_return == CreditReturn::WhenTaken && !state.stopped {
                    for event in &events {
                        if let ListenEvent::Activation(activation) = event {
                            let bytes = activation.size();
                            grant |= state.credit.give_back(Amount { count: 1, bytes });
                        }
                    }
                }
                Poll::Ready(Ok(Some(events)))
            } else if let Some(error) = &state.error {
                Poll::Ready(Err(error.clone()))
            } else if state.stopped && state.held == 0 {
                Poll::Ready(Ok(None))
            } else {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        };
        if grant {
            self.fabric.hub().credit(self.id);
        }
        poll
    }

    /// Opens the window: that many more executions, and bytes of them, may be outstanding. For a worker that finds
    /// that something it took will be long about it, or one that grants by hand.
    pub fn grant(&self, executions: u64, bytes: u64) {
        lock(&self.shared.state).credit.widen(Amount { count: executions, bytes });
        self.fabric.hub().credit(self.id);
    }

    /// Takes no more executions. Those reserved stay so until they are completed or released, and their revocations
    /// are still told.
    pub fn stop(&self) {
        let waker = {
            let mut state = lock(&self.shared.state);
            if std::mem::replace(&mut state.stopped, true) {
                return;
            }
            state.waker.take()
        };
        self.fabric.hub().unlisten(self.id);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        self.stop();
        let events: Vec<_> = lock(&self.shared.state).events.drain(..).collect();
        for event in events {
            if let ListenEvent::Activation(activation) = event {
                drop(self.fabric.release_execution(activation.execution, activation.reservation));
            }
        }
        self.fabric.hub().unsubscribe(self.id);
    }
}

/// The request that ends a listen.
pub(crate) fn unlisten(listen: u64) -> (Encoded, Waiter) {
    (Encoded::new(request::Request::Unlisten(v1::UnlistenRequest { listen })), Waiter::Nobody)
}
