use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;

use super::{EndReason, Ended, Execution, Identity, Outcome, SessionId};

/// What a server can ask to be told of, beside what every server may be told: that of which something must
/// [follow](Event::must_be_followed).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Executions of an agent that can be claimed.
    Pending(Arc<str>),
    /// The end and the removal of an execution, by id.
    End(Arc<str>),
    /// Items, listeners and the end of a stream, by id.
    Stream(Arc<str>),
    /// Executions of an agent in every state; of all agents if none is named.
    Executions(Option<Arc<str>>),
    /// Every stream's record.
    Streams,
}

/// Something has changed, durably.
#[derive(Debug, Clone)]
pub enum Event {
    /// An execution exists that time or an observer has to do with: it has a deadline, or executions are followed.
    Created(Arc<Execution>),
    /// An execution can be claimed in some work group: it is new, was started, or a reservation was given back.
    Pending(Arc<Execution>),
    /// An execution was claimed; for observers of state only.
    Claimed(Arc<Execution>),
    /// An execution has ended.
    Ended(Arc<Ended>),
    /// An execution is gone altogether. Whoever was not told its end is not told it any more; its tombstone says why.
    Removed(Arc<Execution>),
    /// A reservation is over without its holder's doing.
    Revoked {
        /// Who held it.
        session: SessionId,
        /// The reservation.
        token: Bytes,
        /// Why.
        reason: EndReason,
    },
    /// Attached calls whose parent's attempt is over, by id: to be cancelled. Told again after a restart.
    Orphaned(Vec<Arc<str>>),
    /// A stream has new items, or its end, or other options.
    StreamChanged(Arc<str>),
    /// A stream has its first listener; the linked execution may start.
    StreamListened {
        /// The stream.
        stream: Arc<str>,
        /// Its generator's execution, if there is one.
        linked_execution: Option<Arc<str>>,
    },
    /// A later attach took the listener over.
    ListenerTakenOver {
        /// Who had it.
        session: SessionId,
        /// The stream.
        stream: Arc<str>,
        /// The listener.
        listener: Arc<str>,
        /// The epoch that is over.
        epoch: u64,
    },
    /// A named listener was removed while a session was attached to it.
    ListenerRemoved {
        /// Who had it.
        session: SessionId,
        /// The stream.
        stream: Arc<str>,
        /// The listener.
        listener: Arc<str>,
        /// The epoch that is over.
        epoch: u64,
    },
    /// A mutation that had to wait has its outcome.
    Answered {
        /// Which.
        identity: Identity,
        /// How it went. Boxed: it is rare, and much larger than everything else here.
        outcome: Box<Outcome>,
    },
    /// Another server has taken a session over: its client has attached there.
    SessionMoved(SessionId),
    /// The server that had a session is gone, and this one has it now: its lease begins anew.
    SessionLeft(SessionId, v1::HelloRequest),
    /// An instance is being stopped, and the server that began may be gone: to be carried through. Told after a restart,
    /// and when another server is gone.
    Stopping {
        /// The Registry execution.
        instance: Arc<Execution>,
        /// Its Stop is not called.
        force: bool,
    },
    /// The stream is gone.
    StreamDestroyed {
        /// The stream.
        stream: Arc<str>,
        /// Its generator's execution, to be cancelled.
        linked_execution: Option<Arc<str>>,
    },
}

impl Event {
    /// Whether it is (a part of) an intent: something must be done on other objects because of it.
    ///
    /// Such an event reaches at least one server, whoever follows what. When that server goes before it has done what
    /// follows, another is told; after a restart of all of them, each. So what follows is done in steps that can be
    /// repeated, by any server, at any time.
    pub fn must_be_followed(&self) -> bool {
        match self {
            Event::Created(execution) => execution.deadline.is_some(),
            Event::Ended(_)
            | Event::Orphaned(_)
            | Event::StreamListened { .. }
            | Event::StreamDestroyed { .. }
            | Event::SessionLeft(..)
            | Event::Stopping { .. } => true,
            Event::Pending(_)
            | Event::Claimed(_)
            | Event::Removed(_)
            | Event::Revoked { .. }
            | Event::StreamChanged(_)
            | Event::ListenerTakenOver { .. }
            | Event::ListenerRemoved { .. }
            | Event::SessionMoved(_)
            | Event::Answered { .. } => false,
        }
    }
}

/// Is told what has changed. One for each server.
pub trait Observer: Send + Sync + 'static {
    /// Takes events, of each object in order, on whatever thread made them durable. It must not block; it may call the engine.
    fn notify(&self, events: Vec<Event>);
}
