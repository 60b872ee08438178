use std::{
    collections::HashMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context as Poller, Poll},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    handler::{Erased, Running},
    worker::{Event, Invocation, InvocationKind, Outcome, Worker},
};
use crate::{
    Error, ErrorKind, Failure, Result,
    extensions::{Context, register_default},
    protocol::Fabric,
};

/// Everything that an author has written for an agent.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) delegates: HashMap<String, Erased>,
    pub(super) deploy: Option<Erased>,
    pub(super) upgrade: Option<Erased>,
    pub(super) enter: Option<Erased>,
}

impl Handlers {
    fn find(&self, invocation: &Invocation) -> Option<&Erased> {
        match invocation.kind {
            InvocationKind::Delegate => self.delegates.get(&invocation.delegate),
            InvocationKind::Deploy => self.deploy.as_ref(),
            InvocationKind::Upgrade => self.upgrade.as_ref(),
            InvocationKind::Enter => self.enter.as_ref(),
        }
    }
}

/// An agent that runs in the background.
///
/// [`shutdown`](RunningAgent::shutdown) ends it orderly. Dropping it does the same without waiting.
#[derive(Debug)]
pub struct RunningAgent {
    shutdown: CancellationToken,
    context: Context,
    /// Told by the loop when it has ended.
    ended: watch::Receiver<Option<Result<()>>>,
}

impl RunningAgent {
    pub(super) fn start(
        worker: Worker,
        context: Context,
        handlers: Handlers,
        grace: Duration,
        close: Option<Fabric>,
    ) -> Self {
        let shutdown = CancellationToken::new();
        let (sender, ended) = watch::channel(None);
        let default = register_default(context.clone());
        let token = shutdown.clone();
        tokio::spawn(async move {
            let outcome = serve(&worker, Arc::new(handlers), token, grace).await;
            drop(default);
            if let Some(fabric) = close {
                drop(fabric.close().await);
            }
            sender.send_replace(Some(outcome));
        });
        RunningAgent { shutdown, context, ended }
    }

    /// A context in the agent's implicit instance, for code beside the handlers.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Cancelling this token shuts the agent down.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits until the agent has ended: after a shutdown, or because the connection cannot be kept.
    pub async fn ended(&self) -> Result<()> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the loop of the agent ended without a word")),
        }
    }

    /// Takes no more calls, waits until those in flight are done or the grace is over, gives the rest back to other
    /// workers, and closes the session.
    pub async fn shutdown(self) -> Result<()> {
        self.shutdown.cancel();
        self.ended().await
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The loop: one task for the worker's events, one for each handler.
async fn serve(
    worker: &Worker,
    handlers: Arc<Handlers>,
    shutdown: CancellationToken,
    grace: Duration,
) -> Result<()> {
    let stop = async {
        shutdown.cancelled().await;
        worker.stop();
        tokio::time::sleep(grace).await;
        if worker.in_flight() > 0 {
            tracing::warn!(
                in_flight = worker.in_flight(),
                "the grace is over; giving back what is in flight"
            );
        }
        worker.release_all();
        std::future::pending::<()>().await
    };
    let events = async {
        loop {
            for event in worker.events().await {
                match event {
                    Event::Activation(invocation) => invoke(worker, &handlers, *invocation),
                    // The handler's task watches the token of its context.
                    Event::Cancellation { .. } => {}
                    Event::Shutdown(None) => return Ok(()),
                    Event::Shutdown(Some(error)) => return Err(error),
                }
            }
        }
    };
    tokio::select! {
        outcome = events => outcome,
        () = stop => Ok(()),
    }
}

/// Calls a handler in a task of its own. When its execution is cancelled, the handler's future is dropped where it
/// stands: at the await that it is in.
fn invoke(worker: &Worker, handlers: &Arc<Handlers>, invocation: Invocation) {
    let id = invocation.id;
    let worker = worker.clone();
    let handlers = handlers.clone();
    let context = invocation.context.clone();
    let cancellation = context.cancellation();
    let span = span(&invocation);
    let handler = async move {
        match handlers.find(&invocation) {
            Some(handler) => handler.call(invocation).await,
            None => Outcome::Failed(Failure {
                type_name: "NotFound".to_owned(),
                message: format!(
                    "agent {} has no delegate {:?}",
                    invocation.context.agent_name(),
                    invocation.delegate
                ),
                ..Failure::default()
            }),
        }
    };
    let handler = CatchPanic(Box::pin(context.scope(handler)));
    tokio::spawn(
        async move {
            if let Some(outcome) = cancellation.run_until_cancelled(handler).await {
                worker.complete(id, outcome).await;
            }
        }
        .instrument(span),
    );
}

/// The span of an execution, joined to its caller's trace.
fn span(invocation: &Invocation) -> tracing::Span {
    let context = &invocation.context;
    let span = tracing::info_span!(
        "execution",
        agent = context.agent_name(),
        instance = context.instance(),
        delegate = invocation.delegate,
        execution = tracing::field::Empty,
        trace_id = tracing::field::Empty,
        span_id = tracing::field::Empty,
        parent_span_id = tracing::field::Empty,
    );
    if !span.is_disabled() {
        if let Some(execution) = context.execution_scope() {
            span.record("execution", &execution.execution);
        }
        if let Some(trace) = context.trace() {
            span.record("trace_id", trace.trace_id()).record("span_id", trace.span_id());
            if let Some(parent) = trace.parent_id() {
                span.record("parent_span_id", parent);
            }
        }
    }
    span
}

/// A handler whose panic is a failure of its execution and nothing else.
struct CatchPanic(Running);

impl Future for CatchPanic {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<Outcome> {
        // What the handler has left half done is dropped with it and never looked at again.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(poller))) {
            Ok(poll) => poll,
            Err(panic) => {
                let message = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned());
                let message = message.unwrap_or_else(|| "the handler panicked".to_owned());
                tracing::error!(message, "a handler panicked");
                Poll::Ready(Outcome::Failed(Failure {
                    type_name: "panic".to_owned(),
                    message,
                    ..Failure::default()
                }))
            }
        }
    }
}
