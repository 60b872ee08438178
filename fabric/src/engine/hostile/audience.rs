//! Who is told of an event.

use std::sync::Arc;

use crate::engine::{Event, Subject};

/// Whom an event is for, beside one server at least if it [must be followed](Event::must_be_followed).
pub(super) enum Audience {
    /// Whoever follows one of these.
    Followers(Vec<Subject>),
    /// All: the session that it is about may be at any server.
    All,
}

impl Audience {
    pub(super) fn of(event: &Event) -> Self {
        let executions =
            |agent: &Arc<str>| vec![Subject::Executions(None), Subject::Executions(Some(Arc::clone(agent)))];
        let with = |mut subjects: Vec<Subject>, subject| {
            subjects.push(subject);
            subjects
        };
        Audience::Followers(match event {
            Event::Pending(execution) => vec![Subject::Pending(Arc::clone(&execution.agent))],
            Event::Created(execution) | Event::Claimed(execution) => executions(&execution.agent),
            Event::Ended(ended) => {
                let execution = &ended.execution;
                with(executions(&execution.agent), Subject::End(Arc::clone(&execution.id)))
            }
            Event::Removed(execution) => {
                with(executions(&execution.agent), Subject::End(Arc::clone(&execution.id)))
            }
            Event::StreamChanged(stream)
            | Event::StreamListened { stream, .. }
            | Event::StreamDestroyed { stream, .. } => {
                vec![Subject::Stream(Arc::clone(stream)), Subject::Streams]
            }
            Event::Orphaned(_) | Event::SessionLeft(..) | Event::Stopping { .. } => Vec::new(),
            Event::Revoked { .. }
            | Event::ListenerTakenOver { .. }
            | Event::ListenerRemoved { .. }
            | Event::SessionMoved(_)
            | Event::Answered { .. } => return Audience::All,
        })
    }
}

/// What an event is about: of one object the order is kept.
pub(super) fn object_of(event: &Event) -> String {
    match event {
        Event::Created(execution)
        | Event::Pending(execution)
        | Event::Claimed(execution)
        | Event::Removed(execution)
        | Event::Stopping { instance: execution, .. } => format!("execution {}", execution.id),
        Event::Ended(ended) => format!("execution {}", ended.execution.id),
        Event::Revoked { token, .. } => format!("reservation {token:?}"),
        Event::Orphaned(children) => format!("orphans {children:?}"),
        Event::StreamChanged(stream)
        | Event::StreamListened { stream, .. }
        | Event::ListenerTakenOver { stream, .. }
        | Event::ListenerRemoved { stream, .. }
        | Event::StreamDestroyed { stream, .. } => format!("stream {stream}"),
        Event::SessionMoved(session) | Event::SessionLeft(session, _) => format!("session {session}"),
        Event::Answered { identity, .. } => format!("mutation {identity:?}"),
    }
}

/// Whether an event about the same object tells all that an earlier one did, so that the earlier may be left out.
pub(super) fn makes_obsolete(later: &Event, earlier: &Event) -> bool {
    match later {
        Event::Pending(_) => matches!(earlier, Event::Pending(_)),
        Event::Claimed(_) => matches!(earlier, Event::Claimed(_)),
        Event::Ended(_) => matches!(earlier, Event::Created(_) | Event::Pending(_) | Event::Claimed(_)),
        // Of an end that must be followed by the end of a stream, the removal says nothing.
        Event::Removed(execution) => match earlier {
            Event::Ended(_) => execution.linked_stream.is_none(),
            earlier => matches!(earlier, Event::Created(_) | Event::Pending(_) | Event::Claimed(_)),
        },
        Event::StreamChanged(_) | Event::StreamDestroyed { .. } => {
            matches!(earlier, Event::StreamChanged(_))
        }
        _ => false,
    }
}
