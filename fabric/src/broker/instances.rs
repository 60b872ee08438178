//! Instances: starting and stopping them, in steps that any repeat or restart can take up again.

use std::sync::Arc;

use perper_proto::{Reason, v1};
use tokio::sync::oneshot;
use v1::response::Response;

use super::waits::Waiter;
use super::{Broker, Connection, milliseconds};
use crate::engine::{
    DictionaryRequest, EndReason, Ended, ExecutionQuery, ExecutionRequest, Identity, ListRequest, Operation,
    Outcome, Owned, Request, Result, SessionId, StreamRequest,
};
use crate::metrics;

const REGISTRY: &str = "Registry";

impl Broker {
    pub(super) fn take_start_instance(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        request: v1::StartInstanceRequest,
    ) {
        // `received` forgets the call of Start, so that until then a repeat finds its result.
        connection.open().calls.insert(sequence, start_call(&request.instance));
        let (broker, connection) = (Arc::clone(self), Arc::clone(connection));
        tokio::spawn(async move {
            let outcome = broker.start_instance(request, Some(connection.session)).await;
            let outcome = outcome.map(|response| Some(Response::StartInstance(response)));
            connection.answer(metrics::Operation::StartInstance, sequence, outcome);
        });
    }

    pub(super) fn take_stop_instance(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        sequence: u64,
        request: v1::StopInstanceRequest,
    ) {
        let (broker, connection) = (Arc::clone(self), Arc::clone(connection));
        let identity = Identity { session: connection.session, sequence };
        tokio::spawn(async move {
            let outcome = broker.stop_instance(request, Some(identity)).await;
            let outcome = outcome.map(|response| Some(Response::StopInstance(response)));
            connection.answer(metrics::Operation::StopInstance, sequence, outcome);
        });
    }

    /// Registers an instance, calls its Start, and waits for that. Ids are derived, so a repeat attaches to what a first
    /// try began.
    pub(crate) async fn start_instance(
        self: &Arc<Self>,
        request: v1::StartInstanceRequest,
        caller: Option<SessionId>,
    ) -> Result<v1::StartInstanceResponse> {
        let v1::StartInstanceRequest {
            agent,
            instance,
            arguments,
            headers,
            owner,
            remaining_ms,
            capability,
            ..
        } = request;
        let register = v1::CreateExecutionRequest {
            execution: instance.clone(),
            agent: REGISTRY.to_owned(),
            instance: agent.clone(),
            delegate: "Run".to_owned(),
            owner,
            capability,
            ..v1::CreateExecutionRequest::default()
        };
        if let Err(error) = self.request(ExecutionRequest::Create(register, None)).await {
            // A repeat, after a first try that failed and was removed again: that its caller has not received its end is
            // why it is still there.
            return match self.view(&start_call(&instance)).await?.and_then(|call| call.end) {
                Some(end) => Ok(v1::StartInstanceResponse { end: Some(end), incarnation: 0 }),
                None => Err(error),
            };
        }
        let incarnation = self.view(&instance).await?.map_or(0, |registered| registered.incarnation);
        let call = start_call(&instance);
        let create = v1::CreateExecutionRequest {
            execution: call.to_string(),
            agent,
            instance: instance.clone(),
            delegate: "Start".to_owned(),
            arguments,
            headers,
            remaining_ms,
            ..v1::CreateExecutionRequest::default()
        };
        // Abandoned with its caller: cancelled, which removes the instance again.
        let end = self.call(create, caller, None).await?;
        // An application may have as many instances as others have objects: nothing for the usual log.
        tracing::debug!(instance, started = end.error.is_none(), "an instance was started");
        if end.error.is_some() {
            self.stop_instance(v1::StopInstanceRequest { instance, force: true, ..Default::default() }, None)
                .await?;
        }
        Ok(v1::StartInstanceResponse { end: Some(end), incarnation })
    }

    /// Stops an instance: no new calls, Stop, the rest cancelled, its property destroyed, and itself last.
    ///
    /// Whether it existed is decided by the mark that begins the stop, and kept with it under the identity: a repeat finds
    /// the mark's outcome, and of the rest whatever is left to do.
    pub(crate) async fn stop_instance(
        self: &Arc<Self>,
        request: v1::StopInstanceRequest,
        identity: Option<Identity>,
    ) -> Result<v1::StopInstanceResponse> {
        let instance = request.instance;
        let begin = ExecutionRequest::BeginStop { instance: instance.clone(), force: request.force };
        match self.apply(Operation { identity, request: Request::Execution(begin) }).await {
            Err(error) if error.known_reason() == Some(Reason::NotFound) => {
                return Ok(v1::StopInstanceResponse { existed: false });
            }
            other => other?,
        };
        let Some(registered) = self.view(&instance).await?.filter(|it| it.agent == REGISTRY) else {
            return Ok(v1::StopInstanceResponse { existed: true });
        };
        if !request.force {
            let stop = v1::CreateExecutionRequest {
                execution: format!("{instance}/Stop"),
                agent: registered.instance.clone(),
                instance: instance.clone(),
                delegate: "Stop".to_owned(),
                remaining_ms: match request.remaining_ms {
                    0 => milliseconds(self.config.stop_timeout),
                    given => given,
                },
                ..v1::CreateExecutionRequest::default()
            };
            // Whatever Stop says or does not say, the instance goes.
            let end = self.call(stop, None, None).await;
            if let Err(error) = end.and_then(|end| end.error.map_or(Ok(()), Err)) {
                tracing::warn!(instance, error = error.message, "the call of an instance's Stop failed");
            }
        }
        self.remove_instance(&instance, &registered.instance).await?;
        tracing::debug!(
            instance,
            agent = registered.instance,
            forced = request.force,
            "an instance was stopped"
        );
        Ok(v1::StopInstanceResponse { existed: true })
    }

    /// Cancels what an instance runs, destroys what it owns, and removes its registration. Every step can be repeated.
    async fn remove_instance(self: &Arc<Self>, instance: &str, agent: &str) -> Result<()> {
        // First of all, so that it takes no calls, and nobody begins with it again who finds it among the property of
        // another: instances may own each other in a circle.
        self.gone(ExecutionRequest::End(instance.to_owned(), EndReason::OwnerGone).into()).await?;
        let query = ExecutionQuery {
            agent: Some(Arc::from(agent)),
            instance: Some(Arc::from(instance)),
            ..ExecutionQuery::default()
        };
        for view in self.engine.scan_executions(&query, 0, usize::MAX) {
            if view.ended.is_none() {
                self.gone(ExecutionRequest::End(view.execution.id.to_string(), EndReason::OwnerGone).into())
                    .await?;
            }
        }
        // Again as long as there is something else: what still ran may have made it meanwhile.
        let mut before = Vec::new();
        loop {
            let owned = self.engine.owned_by(instance);
            if owned.is_empty() || owned == before {
                break;
            }
            for owned in &owned {
                self.destroy(owned.clone()).await?;
            }
            before = owned;
        }
        self.gone(ExecutionRequest::Forget(instance.to_owned()).into()).await
    }

    /// Destroys one thing that an instance owned.
    async fn destroy(self: &Arc<Self>, owned: Owned) -> Result<()> {
        match owned {
            Owned::Execution(id) => match self.view(&id).await? {
                // Somebody is at it, and whoever follows its end if that server goes.
                Some(owned) if owned.agent == REGISTRY && owned.end.is_some() => {}
                // An instance that this one owns goes the same way; boxed, since it may own others in turn.
                Some(owned) if owned.agent == REGISTRY => {
                    let stop = v1::StopInstanceRequest {
                        instance: id.to_string(),
                        force: true,
                        ..Default::default()
                    };
                    Box::pin(self.stop_instance(stop, None)).await?;
                }
                _ => {
                    self.gone(ExecutionRequest::End(id.to_string(), EndReason::OwnerGone).into()).await?;
                    self.gone(ExecutionRequest::Forget(id.to_string()).into()).await?;
                }
            },
            Owned::Stream(id) => {
                self.gone(Request::Stream(StreamRequest::DestroyOwned(id.to_string()))).await?;
            }
            Owned::Listener(stream, name) => {
                let request = v1::RemoveListenerRequest {
                    stream: stream.to_string(),
                    name: name.to_string(),
                    identity: None,
                };
                self.gone(Request::Stream(StreamRequest::RemoveListener(request))).await?;
            }
            Owned::Dictionary(id) => {
                let request = v1::DestroyDictionaryRequest { dictionary: id.to_string(), identity: None };
                self.gone(Request::Dictionary(DictionaryRequest::Destroy(request))).await?;
            }
            Owned::List(id) => {
                let request = v1::DestroyListRequest { list: id.to_string(), identity: None };
                self.gone(Request::List(ListRequest::Destroy(request))).await?;
            }
        }
        Ok(())
    }

    /// What an end means for an instance: one whose start failed, or was abandoned by its caller, is removed, and so is what
    /// is left of one whose own execution somebody cancelled or forgot. Whoever waits for a start does so too, but may be
    /// gone.
    pub(super) fn end_instance_of(self: &Arc<Self>, ended: &Ended) {
        let execution = &ended.execution;
        if *execution.agent == *REGISTRY {
            // Where it is removed in order, this is the first step.
            if ended.reason != EndReason::OwnerGone {
                let broker = Arc::clone(self);
                let (instance, agent) = (Arc::clone(&execution.id), Arc::clone(&execution.instance));
                self.runtime.spawn(async move {
                    let removed = broker.remove_instance(&instance, &agent).await;
                    log_failure(&instance, removed);
                });
            }
        } else if ended.end.error.is_some() && *execution.id == *start_call(&execution.instance) {
            self.carry_stop_through(&execution.instance, true);
        }
    }

    /// Takes up the stop of an instance that a server began which may be gone. Every step of it can be repeated, so it does
    /// no harm if it is not.
    pub(super) fn carry_stop_through(self: &Arc<Self>, instance: &str, force: bool) {
        let (broker, instance) = (Arc::clone(self), instance.to_owned());
        self.runtime.spawn(async move {
            let stop = v1::StopInstanceRequest { instance: instance.clone(), force, ..Default::default() };
            log_failure(&instance, broker.stop_instance(stop, None).await);
        });
    }

    /// Calls an execution and waits for its end, which stays until it is forgotten.
    pub(crate) async fn call(
        self: &Arc<Self>,
        create: v1::CreateExecutionRequest,
        caller: Option<SessionId>,
        identity: Option<Identity>,
    ) -> Result<v1::End> {
        let execution = create.execution.clone();
        // Before the creation, so that the end cannot come in between.
        let (sender, receiver) = oneshot::channel();
        self.wait_for_end(&execution, Waiter::Once(sender));
        let request = Request::Execution(ExecutionRequest::Create(create, caller));
        let created = self.apply(Operation { identity, request }).await?;
        if !matches!(created, Some(Response::CreateExecution(response)) if response.created)
            && let Some(end) = self.view(&execution).await?.and_then(|view| view.end)
        {
            return Ok(end);
        }
        receiver.await.map_err(|_| Reason::Draining.error("the server is stopping; ask again"))
    }

    async fn request(&self, request: ExecutionRequest) -> Outcome {
        self.apply(Operation { identity: None, request: Request::Execution(request) }).await
    }

    /// Does away with something; that it is gone already is as good.
    async fn gone(&self, request: Request) -> Result<()> {
        match self.apply(Operation { identity: None, request }).await {
            Err(error) if error.known_reason().is_none_or(Reason::is_fault) => Err(error),
            _ => Ok(()),
        }
    }

    /// An execution as it is now, if it is.
    pub(super) async fn view(&self, id: &str) -> Result<Option<v1::Execution>> {
        let request = v1::GetExecutionRequest { execution: id.to_owned(), summary: false };
        match self.request(ExecutionRequest::Get(request)).await {
            Ok(Some(Response::GetExecution(response))) => Ok(response.execution),
            Ok(_) => Ok(None),
            Err(error)
                if error.code == tonic::Code::NotFound as i32
                    || error.code == tonic::Code::Cancelled as i32 =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl From<ExecutionRequest> for Request {
    fn from(request: ExecutionRequest) -> Self {
        Request::Execution(request)
    }
}

/// Takes note of what nobody waits for.
fn log_failure<T>(instance: &str, removed: Result<T>) {
    if let Err(error) = removed {
        tracing::error!(instance, error = error.message, "an instance could not be removed");
    }
}

/// The id of the call of an instance's Start.
fn start_call(instance: &str) -> Arc<str> {
    Arc::from(format!("{instance}/Start"))
}
