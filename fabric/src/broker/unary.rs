//! What the simple, unary forms of operations need beyond the engine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use perper_proto::{Reason, v1};
use tokio::sync::oneshot;
use v1::request::Request as Asked;
use v1::response::Response;

use super::dispatch::{Listen, Taker};
use super::sessions::session_id;
use super::submit::plain;
use super::waits::Waiter;
use super::{Broker, SessionId, admission, listeners};
use crate::engine::{Identity, Operation, Outcome, Result};

/// How long a unary call waits at most, whatever its client says.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Broker {
    /// Carries out and counts one request that is an operation on one object.
    pub(crate) async fn unary(&self, request: Asked, identity: Option<v1::Identity>) -> Outcome {
        self.counted((&request).into(), self.carry_out(request, identity)).await
    }

    async fn carry_out(&self, request: Asked, identity: Option<v1::Identity>) -> Outcome {
        admission::admit(&self.config.limits, &request)?;
        let identity = self.identity(identity)?;
        // Without a session nobody waits: `wait` asks for the session's stream.
        let session = identity.map_or(SessionId(0), |identity| identity.session);
        let request = plain(request, session).map_err(|other| {
            Reason::Internal.error(format!("{other:?} is not an operation on one object"))
        })?;
        self.apply(Operation { identity, request }).await
    }

    /// The identity of a unary mutation; its session must be open.
    pub(crate) fn identity(&self, identity: Option<v1::Identity>) -> Result<Option<Identity>> {
        let Some(identity) = identity else { return Ok(None) };
        let session = session_id(&identity.session)?;
        self.seen(session)?;
        if identity.sequence == 0 {
            return Err(Reason::InvalidArgument.error("sequences count from 1, this one is 0"));
        }
        Ok(Some(Identity { session, sequence: identity.sequence }))
    }

    /// Creates or attaches, and waits for the end.
    pub(crate) async fn call_execution(
        self: &Arc<Self>,
        mut request: v1::CreateExecutionRequest,
    ) -> Result<v1::Completion> {
        let identity = self.identity(request.identity.take())?;
        let asked = Asked::CreateExecution(request);
        admission::admit(&self.config.limits, &asked)?;
        let Asked::CreateExecution(request) = asked else {
            return Err(Reason::Internal.error("no creation"));
        };
        let caller = identity.filter(|_| request.wait).map(|identity| identity.session);
        let end = self.call(request, caller, identity).await?;
        Ok(v1::Completion { sequence: 0, end: Some(end) })
    }

    /// Waits for the end of an execution.
    pub(crate) async fn wait_execution(
        self: &Arc<Self>,
        request: v1::WaitExecutionRequest,
    ) -> Result<v1::Completion> {
        let (sender, receiver) = oneshot::channel();
        self.wait_for_end(&request.execution, Waiter::Once(sender));
        let get = v1::GetExecutionRequest { execution: request.execution, summary: false };
        let end = match self.carry_out(Asked::GetExecution(get), None).await? {
            Some(Response::GetExecution(response)) => response.execution.and_then(|execution| execution.end),
            _ => None,
        };
        let end = match end {
            Some(end) => end,
            None => {
                receiver.await.map_err(|_| Reason::Draining.error("the server is stopping; ask again"))?
            }
        };
        Ok(v1::Completion { sequence: 0, end: Some(end) })
    }

    /// Takes one pending execution, waiting for one if there is none.
    pub(crate) async fn reserve_execution(
        self: &Arc<Self>,
        request: v1::ReserveExecutionRequest,
    ) -> Result<v1::Activation> {
        let session = session_id(&request.session)?;
        self.seen(session)?;
        let Some(filter) = request.filter else {
            return Err(Reason::InvalidArgument.error("a reservation needs a filter"));
        };
        admission::filter(&filter)?;
        let filters = [filter];
        let (sender, mut receiver) = oneshot::channel();
        let taker = Taker::Once(Mutex::new(Some(sender)));
        let listen = Listen::new(session, 0, &request.work_group, taker, (1, u64::MAX));
        self.dispatcher.listen(&listen, &filters);
        let wait = Duration::from_millis(request.wait_ms).min(LONGEST_WAIT);
        let taken = tokio::time::timeout(wait, &mut receiver).await;
        self.dispatcher.unlisten(&listen, &filters);
        let [filter] = filters;
        match taken {
            Ok(Ok(activation)) => Ok(activation),
            // It may have come just as the time ran out.
            _ => receiver.try_recv().map_err(|_| {
                Reason::NotFound.error(format!(
                    "no execution of agent {:?} was pending within {} ms",
                    filter.agent,
                    wait.as_millis()
                ))
            }),
        }
    }

    /// Answers when a stream has, or has had, a listener.
    pub(crate) async fn first_listener(self: &Arc<Self>, request: v1::WaitForListenerRequest) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.wait_for_listener(&request.stream, listeners::Waiter::Once(sender));
        let told = receiver.await.map_err(|_| Reason::Draining.error("the server is stopping; ask again"))?;
        told.map(|_| ())
    }

    /// A page of items.
    pub(crate) async fn page_of_items(&self, request: v1::ReadItemsRequest) -> Result<v1::ReadItemsResponse> {
        let (sender, receiver) = oneshot::channel();
        self.read_items(request, move |items| drop(sender.send(items)));
        receiver.await.map_err(|_| Reason::Internal.error("the engine gave no items"))?
    }
}
