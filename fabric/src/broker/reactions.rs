use std::sync::{Arc, Weak};

use perper_proto::v1;

use super::timers::Timer;
use super::{Broker, milliseconds};
use crate::engine::{EndReason, Ended, Event, ExecutionRequest, Observer, Operation, Request, StreamRequest};

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
            Event::Removed(execution) => {
                self.tell_removal(&execution.id);
                self.observe_execution(&execution);
            }
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
            // Told to every server, since an engine need not know where a session is.
            Event::Answered { identity, outcome } => {
                if self.session(identity.session).is_some() {
                    self.parked.answer(identity, *outcome);
                }
            }
            Event::SessionMoved(session) => self.let_go(session),
            Event::SessionLeft(session, hello) => self.inherit(session, hello),
            Event::Stopping { instance, force } => self.carry_stop_through(&instance.id, force),
            Event::StreamDestroyed { stream, linked_execution } => {
                self.deliveries.destroyed(&stream);
                self.observe_stream(&stream);
                self.stream_gone(&stream);
                follow_ups.extend(linked_execution.as_ref().map(cancel));
            }
        }
    }

    fn execution_ended(self: &Arc<Self>, ended: &Arc<Ended>, follow_ups: &mut Vec<Request>) {
        let execution = &ended.execution;
        let caller_told = self.tell_end(&execution.id, &ended.end, execution.caller);
        if execution.deadline.is_some() {
            self.timers.clear(&Timer::Deadline(Arc::clone(&execution.id)));
        }
        // A caller that is told says when it has received the end, or its session ends; anyone else has as long as results
        // are kept.
        if !caller_told {
            let until = self.clock.now().plus(milliseconds(self.config.result_retention));
            self.timers.set(Timer::Retention(Arc::clone(&execution.id)), self.clock.instant(until));
        }
        if let Some(stream) = &execution.linked_stream {
            let error = ended.end.error.clone().map(|error| generator_error(error, ended));
            follow_ups.push(Request::Stream(StreamRequest::Abandon(stream.to_string(), error)));
        }
        self.end_instance_of(ended);
        self.observe_execution(execution);
    }

    /// An execution is gone: whoever waits and was not told its end is told what is left of it, the reason.
    fn tell_removal(self: &Arc<Self>, execution: &Arc<str>) {
        if !self.waits.is_awaited(execution) {
            return;
        }
        let (broker, execution) = (Arc::clone(self), Arc::clone(execution));
        let get = v1::GetExecutionRequest { execution: execution.to_string(), summary: true };
        let request = Request::Execution(ExecutionRequest::Get(get));
        self.operations.apply(
            vec![Operation { identity: None, request }],
            Box::new(move |mut outcomes| {
                // If it is there, another has been created since, and its end is yet to come.
                if let Some(Err(error)) = outcomes.pop() {
                    let end = v1::End { error: Some(error), ..v1::End::default() };
                    broker.tell_end(&execution, &end, None);
                }
            }),
        );
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
