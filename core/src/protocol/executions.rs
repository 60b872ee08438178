use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use perper_proto::v1::{self, request, response};
use tokio::sync::oneshot;

use super::{
    fabric::Fabric,
    machines::session::Class,
    reply::{self, Reply},
    request::{Body, Encoded, Waiter},
};
use crate::{Error, Failure, Result};

/// The call under which another call is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// Id of the calling execution.
    pub execution: String,
    /// The reservation under which it runs.
    pub reservation: Bytes,
}

/// An execution to create.
///
/// Fill what matters over [`NewExecution::new`]:
///
/// ```
/// use perper::protocol::NewExecution;
///
/// let execution = NewExecution {
///     agent: "Hello".into(),
///     instance: "hello-1".into(),
///     delegate: "Greet".into(),
///     ..NewExecution::new("0123456789abcdef-1")
/// };
/// assert!(execution.parent.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewExecution {
    /// Id; see [`Fabric::new_id`].
    pub execution: String,
    /// The agent that is called.
    pub agent: String,
    /// Its instance; empty for the agent's implicit one.
    pub instance: String,
    /// The delegate that is called.
    pub delegate: String,
    /// Each argument one CBOR value.
    pub arguments: Vec<Bytes>,
    /// Text to text, handed to the callee.
    pub headers: BTreeMap<String, String>,
    /// The call that makes this one; excludes `owner`.
    pub parent: Option<Parent>,
    /// The instance that this belongs to; excludes `parent`. With neither it is detached.
    pub owner: Option<String>,
    /// Time until the execution ends with [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded).
    pub timeout: Option<Duration>,
    /// The stream that the callee's generator fills; empty for none.
    pub linked_stream: String,
    /// Keeps the execution back until the linked stream has its first listener.
    pub starts_on_listener: bool,
    /// May be completed without a reservation, by anyone.
    pub manual: bool,
    /// A token made by the creator; see `docs/values.md`.
    pub capability: Bytes,
}

impl NewExecution {
    /// An execution of that id with everything else empty.
    pub fn new(execution: impl Into<String>) -> Self {
        NewExecution { execution: execution.into(), ..NewExecution::default() }
    }

    fn into_request(self, wait: bool) -> request::Request {
        request::Request::CreateExecution(v1::CreateExecutionRequest {
            execution: self.execution,
            agent: self.agent,
            instance: self.instance,
            delegate: self.delegate,
            arguments: self.arguments,
            headers: self.headers,
            parent: self
                .parent
                .map(|parent| v1::Parent { execution: parent.execution, reservation: parent.reservation }),
            owner: self.owner.map(|instance| v1::Owner { instance }),
            remaining_ms: milliseconds(self.timeout),
            linked_stream: self.linked_stream,
            starts_on_listener: self.starts_on_listener,
            manual: self.manual,
            wait,
            capability: self.capability,
            identity: None,
        })
    }
}

/// A span as the protocol tells it: 0 is none, so the shortest one is 1. Rounded up, so that what is left of a deadline
/// ends nothing before the deadline itself does.
pub(crate) fn milliseconds(span: Option<Duration>) -> u64 {
    span.map_or(0, |span| u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1))
}

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExecutionState {
    /// Kept back until its stream is listened to.
    Waiting,
    /// Nobody has it.
    Pending,
    /// A worker has it.
    Reserved,
    /// It has ended.
    Completed,
    /// A state that this version does not know.
    Unknown,
}

/// An execution as `get_execution`, `observe_executions` and `list_executions` show it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExecutionInfo {
    /// Id.
    pub execution: String,
    /// The agent called.
    pub agent: String,
    /// Its instance.
    pub instance: String,
    /// Which life of that instance, as the Fabric counts; 0 for implicit instances.
    pub incarnation: u64,
    /// The delegate called.
    pub delegate: String,
    /// The arguments; empty in a summary.
    pub arguments: Vec<Bytes>,
    /// Text to text, handed to the callee.
    pub headers: BTreeMap<String, String>,
    /// The id of the calling execution, if it is a call.
    pub parent: Option<String>,
    /// The owning instance, if it has one.
    pub owner: Option<String>,
    /// Time since creation, by the server's clock.
    pub age: Duration,
    /// Time left, if it has a deadline.
    pub remaining: Option<Duration>,
    /// The stream that it fills; empty for none.
    pub linked_stream: String,
    /// May be completed without a reservation.
    pub manual: bool,
    /// How it stands.
    pub state: ExecutionState,
    /// Highest attempt over all work groups.
    pub attempt: u32,
    /// How it ended, once it has.
    pub end: Option<Result<Vec<Bytes>>>,
}

impl From<v1::Execution> for ExecutionInfo {
    fn from(execution: v1::Execution) -> Self {
        let state = match execution.state() {
            v1::ExecutionState::Unspecified => ExecutionState::Unknown,
            v1::ExecutionState::Waiting => ExecutionState::Waiting,
            v1::ExecutionState::Pending => ExecutionState::Pending,
            v1::ExecutionState::Reserved => ExecutionState::Reserved,
            v1::ExecutionState::Completed => ExecutionState::Completed,
        };
        ExecutionInfo {
            execution: execution.execution,
            agent: execution.agent,
            instance: execution.instance,
            incarnation: execution.incarnation,
            delegate: execution.delegate,
            arguments: execution.arguments,
            headers: execution.headers,
            parent: execution.parent.map(|parent| parent.execution),
            owner: execution.owner.map(|owner| owner.instance),
            age: Duration::from_millis(execution.age_ms),
            remaining: (execution.remaining_ms > 0).then(|| Duration::from_millis(execution.remaining_ms)),
            linked_stream: execution.linked_stream,
            manual: execution.manual,
            state,
            attempt: execution.attempt,
            end: execution.end.map(|end| end_to_result(Some(end))),
        }
    }
}

/// What an end says to whoever waited for it.
pub(crate) fn end_to_result(end: Option<v1::End>) -> Result<Vec<Bytes>> {
    let end = end.unwrap_or_default();
    match (end.error, end.failure) {
        (Some(error), failure) => Err(Error::from_end(error, failure)),
        (None, Some(failure)) => Err(Error::from_failure(failure.into())),
        (None, None) => Ok(end.results),
    }
}

impl Fabric {
    /// Creates an execution without waiting for its end. True when it is new, false when one of that id and content
    /// existed already.
    pub fn create_execution(&self, execution: NewExecution) -> Reply<bool> {
        self.request(Class::Mutation, execution.into_request(false), |answer| match answer {
            Some(response::Response::CreateExecution(response)) => Ok(response.created),
            None => Ok(true),
            Some(_) => reply::unexpected("CreateExecution"),
        })
    }

    /// Creates an execution, waits for its end and gives its results. Dropping the call before that cancels the
    /// execution. The Fabric forgets the execution once its end has arrived here.
    pub fn call_execution(&self, execution: NewExecution) -> Call {
        let id = execution.execution.clone();
        let operation = execution.into_request(true);
        if let Err(error) = self.hub().check_size(&operation) {
            return Call { fabric: None, execution: id, sequence: 0, state: CallState::Refused(Some(error)) };
        }
        let (sender, receiver) = oneshot::channel();
        let body = Body::Encoded(Encoded::new(operation));
        let sequence = self.hub().push(Class::Call, body, Waiter::End(sender), true);
        Call { fabric: Some(self.clone()), execution: id, sequence, state: CallState::Waiting(receiver) }
    }

    /// Waits for the end of an execution and gives its results. Dropping the call only stops waiting.
    pub fn wait_execution(&self, execution: impl Into<String>) -> Call {
        let execution = execution.into();
        let operation =
            request::Request::WaitExecution(v1::WaitExecutionRequest { execution: execution.clone() });
        let (sender, receiver) = oneshot::channel();
        let body = Body::Encoded(Encoded::new(operation));
        self.hub().push(Class::Wait, body, Waiter::End(sender), false);
        Call { fabric: None, execution, sequence: 0, state: CallState::Waiting(receiver) }
    }

    /// The present state of an execution; a summary leaves arguments and results out.
    pub fn get_execution(&self, execution: impl Into<String>, summary: bool) -> Reply<ExecutionInfo> {
        let request = v1::GetExecutionRequest { execution: execution.into(), summary };
        self.request(Class::Read, request::Request::GetExecution(request), |answer| match answer {
            Some(response::Response::GetExecution(v1::GetExecutionResponse {
                execution: Some(execution),
            })) => Ok(execution.into()),
            _ => reply::unexpected("GetExecution"),
        })
    }

    /// Ends an execution with results (none, one or several CBOR values) or the error that its handler raised.
    ///
    /// `reservation` is the activation's; empty only for executions created `manual`. With
    /// [`ReservationLost`](crate::ErrorKind::ReservationLost) the execution is somebody else's by now, and nothing
    /// has changed.
    pub fn complete_execution(
        &self,
        execution: impl Into<String>,
        reservation: Bytes,
        outcome: Result<Vec<Bytes>, Failure>,
    ) -> Reply<()> {
        let (results, failure) = match outcome {
            Ok(results) => (results, None),
            Err(failure) => (Vec::new(), Some(failure.into())),
        };
        let request = v1::CompleteExecutionRequest {
            execution: execution.into(),
            reservation: reservation.clone(),
            results,
            failure,
            identity: None,
        };
        self.request_with(
            Class::Mutation,
            request::Request::CompleteExecution(request),
            |sender| Waiter::Reservation(reservation, sender),
            reply::nothing,
        )
    }

    /// Gives a reservation back unharmed: another worker gets the execution, and the attempt does not count.
    pub fn release_execution(&self, execution: impl Into<String>, reservation: Bytes) -> Reply<()> {
        let request = v1::ReleaseExecutionRequest {
            execution: execution.into(),
            reservation: reservation.clone(),
            identity: None,
        };
        self.request_with(
            Class::Mutation,
            request::Request::ReleaseExecution(request),
            |sender| Waiter::Reservation(reservation, sender),
            reply::nothing,
        )
    }

    /// Cancels an execution and, step by step, every call attached below it.
    pub fn cancel_execution(&self, execution: impl Into<String>) -> Reply<()> {
        let request = v1::CancelExecutionRequest { execution: execution.into(), identity: None };
        self.request(Class::Mutation, request::Request::CancelExecution(request), reply::nothing)
    }

    /// Forgets an execution that has ended; cancels and forgets one that has not.
    pub fn forget_execution(&self, execution: impl Into<String>) -> Reply<()> {
        let request = v1::ForgetExecutionRequest { execution: execution.into(), identity: None };
        self.request(Class::Mutation, request::Request::ForgetExecution(request), reply::nothing)
    }
}

/// An execution whose end is awaited: a future of its results.
#[must_use = "dropping a call cancels it"]
#[derive(Debug)]
pub struct Call {
    /// Who cancels when this is dropped; `None` when dropping cancels nothing.
    fabric: Option<Fabric>,
    execution: String,
    sequence: u64,
    state: CallState,
}

#[derive(Debug)]
enum CallState {
    Waiting(oneshot::Receiver<Result<Vec<Bytes>>>),
    Refused(Option<Error>),
}

impl Call {
    /// The id of the execution.
    pub fn execution(&self) -> &str {
        &self.execution
    }
}

impl Future for Call {
    type Output = Result<Vec<Bytes>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            CallState::Waiting(receiver) => {
                ready!(Pin::new(receiver).poll(context)).unwrap_or_else(|_| Err(reply::closed()))
            }
            CallState::Refused(error) => Err(error.take().unwrap_or_else(reply::closed)),
        };
        self.fabric = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(fabric) = self.fabric.take() {
            fabric.hub().abandon_call(self.sequence, &self.execution);
        }
    }
}
