use std::sync::{Arc, Weak};

use perper_proto::v1;

use super::timers::Timer;
use super::{Broker, milliseconds};
use crate::engine::{EndReason, Ended, Event, ExecutionRequest, Observer, Request, StreamRequest};

/// What follows from what the engine tells.
pub(super) struct Reactions {
    // The engine owns its observer, and the broker the engine.
    broker: Weak<Broker>,
}

impl Reactions {
    pub(super) fn new(broker: &Arc<Broker>) -> Self {
        Self { broker: Arc::downgrade(broker) }
    }
}

impl Observer for Reactions {
    fn notify(&self, events: Vec<Event>) {
        let Some(broker) = self.broker.upgrade() else { return };
        let mut pending = Vec::new();
        let mut follow_ups = Vec::new();
        for event in events {
            match event {
                Event::Pending(execution) => pending.push(execution),
                other => broker.react(other, &mut follow_ups),
            }
        }
        broker.dispatcher.offer(pending);
        broker.follow_up(follow_ups);
    }
}

impl Broker {
    fn react(self: &Arc<Self>, event: Event, follow_ups: &mut Vec<Request>) {
        let cancel =
            |id: &Arc<str>| Request::Execution(ExecutionRequest::End(id.to_string(), EndReason::Cancelled));
        match event {
            Event::Pending(_) => {}
            Event::Created(execution) => {
                if let Some(deadline) = execution.deadline {
                    self.timers.set(Timer::Deadline(Arc::clone(&execution.id)), self.clock.instant(deadline));
                }
                self.observe_execution(&execution);
            }
            Event::Claimed(execution) => self.observe_execution(&execution),
            Event::Ended(ended) => self.execution_ended(&ended, follow_ups),
            Event::Removed(execution) => self.observe_execution(&execution),
            Event::Revoked { session, token, reason } => self.revoke(session, token, reason),
            Event::Orphaned(children) => follow_ups.extend(children.iter().map(cancel)),
            Event::StreamChanged(stream) => {
                self.deliveries.changed(&stream);
                self.observe_stream(&stream);
            }
            Event::StreamListened { stream, linked_execution } => {
                self.stream_listened(&stream);
                follow_ups.extend(
                    linked_execution.map(|id| Request::Execution(ExecutionRequest::Start(id.to_string()))),
                );
            }
            Event::ListenerTakenOver { stream, listener, epoch, .. } => {
                self.deliveries.taken_over(&stream, &listener, epoch);
            }
            Event::ListenerRemoved { stream, listener, epoch, .. } => {
                self.deliveries.removed(&stream, &listener, epoch);
            }
            Event::Answered { identity, outcome } => self.parked.answer(identity, *outcome),
            Event::StreamDestroyed { stream, linked_execution } => {
                self.deliveries.destroyed(&stream);
                self.observe_stream(&stream);
                self.stream_listened(&stream);
                follow_ups.extend(linked_execution.as_ref().map(cancel));
            }
        }
    }

    fn execution_ended(self: &Arc<Self>, ended: &Arc<Ended>, follow_ups: &mut Vec<Request>) {
        let execution = &ended.execution;
        self.waits.ended(ended);
        if execution.deadline.is_some() {
            self.timers.clear(&Timer::Deadline(Arc::clone(&execution.id)));
        }
        // A caller that is there fetches the result; anyone else has as long as results are kept.
        if execution.caller.is_none_or(|caller| self.session(caller).is_none()) {
            let until = self.clock.now().plus(milliseconds(self.config.result_retention));
            self.timers.set(Timer::Retention(Arc::clone(&execution.id)), self.clock.instant(until));
        }
        if let Some(stream) = &execution.linked_stream {
            let error = ended.end.error.clone().map(|error| generator_error(error, ended));
            follow_ups.push(Request::Stream(StreamRequest::Abandon(stream.to_string(), error)));
        }
        self.observe_execution(execution);
    }

    /// Something is due.
    pub(super) fn fire(self: &Arc<Self>, timer: Timer) {
        match timer {
            Timer::Deadline(id) => {
                let request = ExecutionRequest::End(id.to_string(), EndReason::Deadline);
                self.follow_up(vec![Request::Execution(request)]);
            }
            Timer::Retention(id) => {
                self.follow_up(vec![Request::Execution(ExecutionRequest::Expire(id.to_string()))]);
            }
            Timer::Lease(session) => self.check_lease(session),
        }
    }
}

/// What listeners of a generator's stream are told when the generator failed.
fn generator_error(error: v1::Error, ended: &Ended) -> v1::Error {
    match &ended.end.failure {
        Some(failure) => error.with_failure(failure),
        None => error,
    }
}
