use std::sync::Arc;

use bytes::Bytes;
use perper_proto::{Reason, v1};

use super::{SessionId, Timestamp};

/// An execution as it was created. What changes later is the engine's own.
///
/// There may be millions, so what few of them have is behind a pointer, and what nobody asks for is in the store only.
#[derive(Debug)]
pub struct Execution {
    /// Counts executions in order of creation.
    pub number: u64,
    /// The id.
    pub id: Arc<str>,
    /// Whose delegate is called.
    pub agent: Arc<str>,
    /// Which instance; empty for the implicit one.
    pub instance: Arc<str>,
    /// Of the instance when the execution was created.
    pub incarnation: u64,
    /// What is called.
    pub delegate: Arc<str>,
    /// CBOR values.
    pub arguments: Box<[Bytes]>,
    /// For the callee.
    pub headers: Box<[(Box<str>, Box<str>)]>,
    /// The call that made it: id, and the reservation under which that runs.
    pub parent: Option<Box<(Arc<str>, Bytes)>>,
    /// The instance with which it goes.
    pub owner: Option<Arc<str>>,
    /// The session that waits for it, and with whose end it is cancelled.
    pub caller: Option<SessionId>,
    /// When it was created.
    pub created: Timestamp,
    /// When it ends at the latest.
    pub deadline: Option<Timestamp>,
    /// The stream that its generator fills.
    pub linked_stream: Option<Arc<str>>,
    /// Kept back, at first, until the stream is listened to.
    pub starts_on_listener: bool,
    /// Can be completed without a reservation.
    pub manual: bool,
}

impl Execution {
    /// Bytes that delivering it costs, for credit.
    pub fn size(&self) -> u64 {
        let arguments: usize = self.arguments.iter().map(Bytes::len).sum();
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        (self.id.len() + self.agent.len() + self.instance.len() + self.delegate.len() + arguments + headers)
            as u64
    }
}

/// An execution that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub execution: Arc<Execution>,
    /// With what.
    pub end: v1::End,
    /// How.
    pub reason: EndReason,
}

/// Why an execution is no longer running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// It was completed, with results or the handler's error.
    Completed = 1,
    /// Somebody cancelled it, or the attempt of its parent ended.
    Cancelled = 2,
    /// Its deadline passed.
    Deadline = 3,
    /// Nobody fetched its result in time.
    Expired = 4,
    /// Its owner went.
    OwnerGone = 5,
    /// It was given out too many times.
    AttemptsExhausted = 6,
    /// (Of a reservation:) given back by the Fabric, because its session ended.
    ReservationLost = 7,
}

impl EndReason {
    /// The reason in the protocol.
    pub fn reason(self) -> Reason {
        match self {
            EndReason::Completed => Reason::ExecutionCompleted,
            EndReason::Cancelled => Reason::ExecutionCancelled,
            EndReason::Deadline => Reason::ExecutionDeadline,
            EndReason::Expired => Reason::ExecutionExpired,
            EndReason::OwnerGone => Reason::OwnerGone,
            EndReason::AttemptsExhausted => Reason::AttemptsExhausted,
            EndReason::ReservationLost => Reason::ReservationLost,
        }
    }

    /// The error that callers get for execution `id`.
    pub fn error(self, id: &str) -> v1::Error {
        let message = match self {
            EndReason::Completed => {
                format!("execution {id} has completed, and its result has been received or forgotten")
            }
            EndReason::Cancelled => format!("execution {id} was cancelled"),
            EndReason::Deadline => format!("the deadline of execution {id} has passed"),
            EndReason::Expired => {
                format!("execution {id} has completed, but nobody fetched its result in time")
            }
            EndReason::OwnerGone => format!("execution {id} went with the instance that owned it"),
            EndReason::AttemptsExhausted => {
                format!("execution {id} was given to workers too many times, and none of them completed it")
            }
            EndReason::ReservationLost => format!("the reservation of execution {id} was lost"),
        };
        self.reason().error(message).with("execution", id)
    }
}

/// An attempt to reserve an execution.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which.
    pub execution: Arc<Execution>,
    /// For which work group.
    pub group: Arc<str>,
    /// For whom.
    pub session: SessionId,
}

/// A reservation: one holder at a time for each (execution, work group).
#[derive(Debug, Clone)]
pub struct Reservation {
    /// What is reserved.
    pub execution: Arc<Execution>,
    /// Proves it.
    pub token: Bytes,
    /// Counts reservations in this work group.
    pub attempt: u32,
    /// What earlier attempts left in the linked stream.
    pub linked_stream: Option<v1::LinkedStream>,
}

/// A reservation as inspection shows it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Who holds it.
    pub session: SessionId,
    /// Counts reservations in this work group.
    pub attempt: u32,
}

/// An execution with its state, as scans return it.
#[derive(Debug, Clone)]
pub struct ExecutionView {
    /// As it was created.
    pub execution: Arc<Execution>,
    /// Where it is.
    pub state: v1::ExecutionState,
    /// Highest attempt over all work groups.
    pub attempt: u32,
    /// Who works on it.
    pub held: Vec<Held>,
    /// How it ended.
    pub ended: Option<Arc<Ended>>,
    /// (Of an instance:) being stopped.
    pub stopping: bool,
}

impl From<&v1::ExecutionFilter> for ExecutionQuery {
    fn from(filter: &v1::ExecutionFilter) -> Self {
        let name = |name: &str| (!name.is_empty()).then(|| Arc::from(name));
        Self {
            agent: name(&filter.agent),
            instance: name(&filter.instance),
            delegates: filter.delegates.iter().map(|delegate| Arc::from(delegate.as_str())).collect(),
            ..Self::default()
        }
    }
}

/// Which executions a scan is for.
#[derive(Debug, Clone, Default)]
pub struct ExecutionQuery {
    /// Of this agent.
    pub agent: Option<Arc<str>>,
    /// Of this instance.
    pub instance: Option<Arc<str>>,
    /// Of one of these delegates; of any if there is none.
    pub delegates: Vec<Arc<str>>,
    /// Made by this execution.
    pub parent: Option<Arc<str>>,
    /// Waited for by this session.
    pub caller: Option<SessionId>,
    /// Only those that may be claimed in some work group. Asks for an agent.
    pub claimable: bool,
}

impl ExecutionQuery {
    /// Whether it is for this execution, as far as that shows in how it was created.
    pub fn matches(&self, execution: &Execution) -> bool {
        let equal =
            |wanted: &Option<Arc<str>>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        equal(&self.agent, &execution.agent)
            && equal(&self.instance, &execution.instance)
            && (self.delegates.is_empty() || self.delegates.contains(&execution.delegate))
            && self.parent.as_deref().is_none_or(|wanted| {
                execution.parent.as_deref().is_some_and(|(parent, _)| **parent == *wanted)
            })
            && self.caller.is_none_or(|wanted| execution.caller == Some(wanted))
    }
}
