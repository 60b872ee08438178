//! Frames of a session's stream: every request of them, each to where it is carried out.

use std::sync::Arc;

use perper_proto::{Reason, v1};
use v1::request::Request as Asked;
use v1::response::Response;

use super::delivery::Subscription;
use super::dispatch::{Listen, Taker};
use super::waits::Waiter;
use super::{Broker, Connection, admission, listeners, lock};
use crate::engine::{
    DictionaryRequest, EndReason, ExecutionRequest, Identity, ListRequest, Operation, Request, Result,
    SessionId, StreamRequest, is_waiting,
};
use crate::metrics;

/// Operations of a frame that go to the engine together.
#[derive(Default)]
struct Run {
    operations: Vec<Operation>,
    asked: Vec<(u64, metrics::Operation)>,
}

impl Broker {
    /// Takes a frame. An error ends the stream.
    pub(crate) fn take_frame(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        frame: v1::ClientFrame,
    ) -> Result<()> {
        let session = connection.session;
        self.seen(session)?;
        if frame.attach.is_some() {
            return Err(Reason::InvalidArgument.error("`attach` belongs in the first frame of a stream only"));
        }
        if frame.acknowledged > 0 {
            self.acknowledged(session, frame.acknowledged);
        }
        let in_flight = connection.take(frame.requests.len() as u64);
        if in_flight > self.config.limits.requests_in_flight {
            return Err(admission::over(
                "requests_in_flight",
                in_flight,
                self.config.limits.requests_in_flight,
            ));
        }
        let mut run = Run::default();
        for request in frame.requests {
            self.take_request(connection, request, &mut run);
        }
        self.flush(connection, run);
        self.take_credits(connection, frame.credits);
        if !frame.received.is_empty() {
            self.received(connection, &frame.received);
        }
        if frame.close {
            self.end_session(session);
        }
        Ok(())
    }

    fn take_request(self: &Arc<Self>, connection: &Arc<Connection>, request: v1::Request, run: &mut Run) {
        let sequence = request.sequence;
        let Some(request) = request.request else {
            let message = format!("request {sequence} is of a kind that this server does not know");
            let outcome = Err(Reason::FeatureNotSupported.error(message));
            return connection.answer(metrics::Operation::Unknown, sequence, outcome);
        };
        let asked = metrics::Operation::from(&request);
        if let Err(error) = admission::admit(&self.config.limits, &request) {
            return connection.answer(asked, sequence, Err(error));
        }
        if let Asked::CreateExecution(create) = &request
            && create.wait
        {
            connection.open().calls.insert(sequence, Arc::from(create.execution.as_str()));
            self.wait_for_end(&create.execution, Waiter::Connection(Arc::clone(connection), sequence));
        }
        match plain(request, connection.session) {
            Ok(request) => {
                let identity = Identity { session: connection.session, sequence };
                // Repeating a read is harmless, and its outcome may be large.
                let identity = (!request.is_read()).then_some(identity);
                run.operations.push(Operation { identity, request });
                run.asked.push((sequence, asked));
            }
            Err(special) => {
                // What came before must be before.
                self.flush(connection, std::mem::take(run));
                self.take_special(connection, sequence, *special);
            }
        }
    }

    /// Hands operations to the engine; each is answered when its outcome is there.
    fn flush(self: &Arc<Self>, connection: &Arc<Connection>, run: Run) {
        if run.operations.is_empty() {
            return;
        }
        let Run { operations, asked } = run;
        let broker = Arc::clone(self);
        let connection = Arc::clone(connection);
        self.operations.apply(
            operations,
            Box::new(move |outcomes| {
                let mut tally = broker.metrics.requests.tally();
                for ((sequence, asked), outcome) in asked.into_iter().zip(outcomes) {
                    if is_waiting(&outcome) {
                        let identity = Identity { session: connection.session, sequence };
                        let waiter = listeners::Waiter::Connection(Arc::clone(&connection), asked, sequence);
                        broker.parked.wait(identity, waiter);
                        continue;
                    }
                    broker.check_call(&connection, sequence, &outcome);
                    tally.answered(asked, &outcome);
                    connection.reply(sequence, outcome);
                }
            }),
        );
    }

    /// After the creation of a call: takes its wait back if it failed, and looks at once whether it has ended if it may
    /// have.
    fn check_call(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        outcome: &crate::engine::Outcome,
    ) {
        let created = match outcome {
            Ok(Some(Response::CreateExecution(response))) => response.created,
            Ok(_) => return,
            Err(_) => {
                let call = connection.open().calls.remove(&sequence);
                if let Some(execution) = call {
                    self.wait_no_more(&execution, connection, sequence);
                }
                return;
            }
        };
        if created && !connection.resumed {
            return;
        }
        let call = connection.open().calls.get(&sequence).cloned();
        if let Some(execution) = call {
            self.check_end(connection, sequence, execution);
        }
    }

    /// Tells a waiting request the end of its execution if that is there already.
    pub(super) fn check_end(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        execution: Arc<str>,
    ) {
        let request = v1::GetExecutionRequest { execution: execution.to_string(), summary: false };
        let request = Request::Execution(ExecutionRequest::Get(request));
        let (broker, connection) = (Arc::clone(self), Arc::clone(connection));
        self.operations.apply(
            vec![Operation { identity: None, request }],
            Box::new(move |mut outcomes| {
                let end = match outcomes.pop() {
                    Some(Ok(Some(Response::GetExecution(response)))) => {
                        response.execution.and_then(|it| it.end)
                    }
                    Some(Err(error)) => Some(v1::End { error: Some(error), ..v1::End::default() }),
                    _ => None,
                };
                // Whoever takes the wait back tells; the end itself may have come meanwhile.
                if let Some(end) = end
                    && broker.wait_no_more(&execution, &connection, sequence)
                {
                    connection.complete(sequence, end);
                }
            }),
        );
    }

    fn take_special(self: &Arc<Self>, connection: &Arc<Connection>, sequence: u64, request: Asked) {
        let asked = metrics::Operation::from(&request);
        match request {
            Asked::WaitExecution(request) => {
                self.wait_for_end(&request.execution, Waiter::Connection(Arc::clone(connection), sequence));
                connection.answer(asked, sequence, Ok(None));
                self.check_end(connection, sequence, Arc::from(request.execution));
            }
            Asked::Listen(request) => {
                let outcome = self.listen(connection, sequence, &request);
                let listen = outcome.as_ref().ok().cloned();
                connection.answer(asked, sequence, outcome.map(|_| None));
                if let Some(listen) = listen {
                    self.dispatcher.listen(&listen, &request.filters);
                }
            }
            Asked::Unlisten(request) => {
                let listen = connection.open().listens.remove(&request.listen);
                if let Some((listen, filters)) = listen {
                    self.dispatcher.unlisten(&listen, &filters);
                }
                connection.answer(asked, sequence, Ok(None));
            }
            Asked::StartInstance(request) => self.take_start_instance(connection, sequence, request),
            Asked::StopInstance(request) => self.take_stop_instance(connection, sequence, request),
            Asked::AttachListener(request) => self.take_attach_listener(connection, sequence, request),
            Asked::DetachListener(request) => self.take_detach_listener(connection, sequence, &request),
            Asked::WaitForListener(request) => {
                let waiter = super::listeners::Waiter::Connection(Arc::clone(connection), asked, sequence);
                self.wait_for_listener(&request.stream, waiter);
            }
            Asked::ReadItems(request) => {
                let connection = Arc::clone(connection);
                self.read_items(request, move |outcome| {
                    connection.answer(asked, sequence, outcome.map(|items| Some(Response::ReadItems(items))));
                });
            }
            other => {
                // `plain` took every other kind.
                let message = format!("request {sequence} is nobody's: {other:?}");
                connection.answer(asked, sequence, Err(Reason::Internal.error(message)));
            }
        }
    }

    fn listen(
        &self,
        connection: &Arc<Connection>,
        sequence: u64,
        request: &v1::ListenRequest,
    ) -> Result<Arc<Listen>> {
        self.check_subscriptions(connection)?;
        let limits = &self.config.limits;
        let credit = (
            request.credit_executions.min(limits.credit_executions),
            request.credit_bytes.min(limits.credit_bytes),
        );
        let taker = Taker::Connection(Arc::clone(connection));
        let listen = Listen::new(connection.session, sequence, &request.work_group, taker, credit);
        connection.open().listens.insert(sequence, (Arc::clone(&listen), request.filters.clone()));
        Ok(listen)
    }

    pub(super) fn check_subscriptions(&self, connection: &Connection) -> Result<()> {
        let count = connection.subscriptions() + 1;
        let most = u64::from(self.config.limits.subscriptions);
        if count > most {
            return Err(admission::over("subscriptions", count, most));
        }
        Ok(())
    }

    fn take_credits(self: &Arc<Self>, connection: &Arc<Connection>, credits: Vec<v1::Credit>) {
        let limits = &self.config.limits;
        let mut acknowledgements = Vec::new();
        for credit in credits {
            let (listen, listener) = {
                let mut open = connection.open();
                if let Some(early) = open.attaching.get_mut(&credit.subscription) {
                    early.add(&credit);
                    continue;
                }
                (
                    open.listens.get(&credit.subscription).cloned(),
                    open.listeners.get(&credit.subscription).cloned(),
                )
            };
            // Credit for what has just ended crosses its end on the way.
            if let Some((listen, filters)) = listen {
                let most = (limits.credit_executions, limits.credit_bytes);
                self.dispatcher.grant(&listen, &filters, (credit.count, credit.bytes), most);
            }
            if let Some(listener) = listener {
                acknowledgements.extend(self.take_listener_credit(&listener, &credit));
            }
        }
        self.follow_up(acknowledgements);
    }

    /// Takes credit of an attached listener; gives the acknowledgement in it, which is to be carried out.
    pub(super) fn take_listener_credit(
        &self,
        listener: &Arc<Subscription>,
        credit: &v1::Credit,
    ) -> Option<Request> {
        let limits = &self.config.limits;
        if credit.count > 0 || credit.bytes > 0 {
            let most = (limits.credit_items, limits.credit_bytes);
            self.deliveries.grant(listener, (credit.count, credit.bytes), most);
        }
        credit.acknowledged_key.map(|through| {
            Request::Stream(StreamRequest::AcknowledgeItems {
                stream: listener.stream.to_string(),
                listener: listener.listener.to_string(),
                epoch: listener.epoch,
                through,
            })
        })
    }

    fn received(&self, connection: &Arc<Connection>, sequences: &[u64]) {
        let mut forget = Vec::with_capacity(sequences.len());
        {
            let mut open = connection.open();
            forget.extend(sequences.iter().filter_map(|sequence| open.calls.remove(sequence)));
        }
        if forget.len() < sequences.len()
            && let Some(session) = self.session(connection.session)
        {
            forget.extend(session.take_unreceived(sequences));
        }
        self.engine.forget_executions(forget);
    }
}

impl super::Session {
    /// Calls of a former connection of the session.
    fn take_unreceived(&self, sequences: &[u64]) -> Vec<Arc<str>> {
        let mut unreceived = lock(self.unreceived());
        sequences.iter().filter_map(|sequence| unreceived.remove(sequence)).collect()
    }
}

/// The engine's form of a request that is an operation on one object, or the request itself if it is more than that.
pub(super) fn plain(request: Asked, session: SessionId) -> std::result::Result<Request, Box<Asked>> {
    Ok(match request {
        Asked::CreateExecution(request) => {
            let caller = request.wait.then_some(session);
            Request::Execution(ExecutionRequest::Create(request, caller))
        }
        Asked::CompleteExecution(request) => Request::Execution(ExecutionRequest::Complete(request)),
        Asked::ReleaseExecution(request) => Request::Execution(ExecutionRequest::Release(request)),
        Asked::CancelExecution(request) => {
            Request::Execution(ExecutionRequest::End(request.execution, EndReason::Cancelled))
        }
        Asked::ForgetExecution(request) => Request::Execution(ExecutionRequest::Forget(request.execution)),
        Asked::GetExecution(request) => Request::Execution(ExecutionRequest::Get(request)),
        Asked::CreateStream(request) => Request::Stream(StreamRequest::Create(request)),
        Asked::StartStream(request) => Request::Stream(StreamRequest::Start(request)),
        Asked::WriteItems(request) => Request::Stream(StreamRequest::Write(request)),
        Asked::CompleteStream(request) => Request::Stream(StreamRequest::Complete(request)),
        Asked::RemoveListener(request) => Request::Stream(StreamRequest::RemoveListener(request)),
        Asked::GetStream(request) => Request::Stream(StreamRequest::Get(request)),
        Asked::DestroyStream(request) => Request::Stream(StreamRequest::Destroy(request)),
        Asked::CreateDictionary(request) => Request::Dictionary(DictionaryRequest::Create(request)),
        Asked::UpdateDictionary(request) => Request::Dictionary(DictionaryRequest::Update(request)),
        Asked::EnumerateDictionary(request) => Request::Dictionary(DictionaryRequest::Enumerate(request)),
        Asked::DestroyDictionary(request) => Request::Dictionary(DictionaryRequest::Destroy(request)),
        Asked::CreateList(request) => Request::List(ListRequest::Create(request)),
        Asked::UpdateList(request) => Request::List(ListRequest::Update(request)),
        Asked::EnumerateList(request) => Request::List(ListRequest::Enumerate(request)),
        Asked::DestroyList(request) => Request::List(ListRequest::Destroy(request)),
        special => return Err(Box::new(special)),
    })
}
