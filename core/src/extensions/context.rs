use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    execution::{ExecutionScope, Waiting},
    trace::Trace,
};
use crate::{
    Error, ErrorKind, Result,
    model::{Agent, Execution},
    protocol::{Fabric, NewExecution},
};

/// What the code that runs belongs to: a connection to the Fabric, and within a handler also an agent, its instance,
/// the execution, its deadline and its trace.
///
/// Cheap to clone. [`context`](super::context) gives the current one.
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    connection: Arc<Connection>,
    agent: String,
    instance: String,
    execution: Option<Arc<ExecutionScope>>,
    deadline: Option<Instant>,
    trace: Option<Trace>,
    cancellation: Option<CancellationToken>,
}

/// What all contexts over one connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) fabric: Fabric,
    /// Dictionaries of instances that have been created already, so that it is not asked for each time. It is cleared at
    /// [`STATES`]: a process may see any number of instances, and creating a dictionary again does no harm.
    states: Mutex<HashSet<(String, u64)>>,
}

const STATES: usize = 4_096;

impl Connection {
    pub(crate) fn new(fabric: Fabric) -> Self {
        Connection { fabric, states: Mutex::new(HashSet::new()) }
    }

    /// True the first time, and again once in a while.
    pub(crate) fn needs_state(&self, instance: &str, incarnation: u64) -> bool {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() >= STATES {
            states.clear();
        }
        states.insert((instance.to_owned(), incarnation))
    }

    /// It turned out not to be there: ask again the next time.
    pub(crate) fn forget_state(&self, instance: &str, incarnation: u64) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.remove(&(instance.to_owned(), incarnation));
    }
}

impl Context {
    /// A context over a connection, for a program that is no agent: it can call agents and use streams, and has no
    /// instance of its own.
    pub fn new(fabric: Fabric) -> Self {
        let agent = fabric.settings().agent().unwrap_or_default().to_owned();
        let instance = fabric.settings().instance().unwrap_or_default().to_owned();
        Context::of_instance(Arc::new(Connection::new(fabric)), agent, instance)
    }

    pub(crate) fn of_instance(connection: Arc<Connection>, agent: String, instance: String) -> Self {
        let inner = Inner {
            connection,
            agent,
            instance,
            execution: None,
            deadline: None,
            trace: None,
            cancellation: None,
        };
        Context { inner: Arc::new(inner) }
    }

    /// For what runs in an instance without an execution behind it.
    pub(crate) fn of_local(
        connection: Arc<Connection>,
        agent: String,
        instance: String,
        cancellation: CancellationToken,
    ) -> Self {
        Context::of_instance(connection, agent, instance)
            .derive(|inner| inner.cancellation = Some(cancellation))
    }

    pub(crate) fn of_execution(
        connection: Arc<Connection>,
        agent: String,
        instance: String,
        execution: ExecutionScope,
        remaining: Option<Duration>,
    ) -> Self {
        let trace = Some(Trace::of_execution(&execution.headers));
        let deadline = remaining.and_then(|remaining| Instant::now().checked_add(remaining));
        let cancellation = Some(execution.cancellation.clone());
        let execution = Some(Arc::new(execution));
        let inner = Inner { connection, agent, instance, execution, deadline, trace, cancellation };
        Context { inner: Arc::new(inner) }
    }

    fn derive(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.inner);
        change(&mut inner);
        Context { inner: Arc::new(inner) }
    }

    /// The same context for another instance: what is called, owned and kept as state is that one's.
    #[must_use]
    pub fn with_instance(&self, agent: &Agent) -> Self {
        self.derive(|inner| {
            inner.agent.clone_from(&agent.agent);
            inner.instance.clone_from(&agent.instance);
        })
    }

    /// The same context with a deadline that far from now, unless it has an earlier one already.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let deadline = Instant::now().checked_add(timeout);
        let deadline = [self.deadline(), deadline].into_iter().flatten().min();
        self.derive(|inner| inner.deadline = deadline)
    }

    /// The same context within a trace that something outside of Perper began: `traceparent` and `tracestate` as the
    /// W3C recommendation "Trace Context" defines them.
    pub fn with_trace(&self, traceparent: &str, tracestate: Option<&str>) -> Result<Self> {
        let trace = Trace::from_headers(traceparent, tracestate).ok_or_else(|| {
            let message = format!("{traceparent:?} is not a traceparent; see the W3C's \"Trace Context\"");
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        Ok(self.derive(|inner| inner.trace = Some(trace)))
    }

    /// The connection.
    pub fn fabric(&self) -> &Fabric {
        &self.inner.connection.fabric
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.inner.connection
    }

    /// The current agent and its instance. Both are empty in a program that is no agent.
    pub fn agent(&self) -> Agent {
        Agent::new(&self.inner.agent, &self.inner.instance)
    }

    /// The name of the current agent; empty in a program that is no agent.
    pub fn agent_name(&self) -> &str {
        &self.inner.agent
    }

    /// The id of the current instance; empty in a program that is no agent.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// The execution that the handler answers; `None` outside of one, and after it has completed.
    pub fn execution(&self) -> Option<Execution> {
        self.running().map(|execution| Execution::new(&execution.execution))
    }

    /// The delegate that was called, if this is a call.
    pub fn delegate(&self) -> Option<&str> {
        self.inner.execution.as_deref().map(|execution| execution.delegate.as_str())
    }

    /// How often the execution has been given to a worker; 1 the first time. Informational.
    pub fn attempt(&self) -> Option<u32> {
        self.inner.execution.as_deref().map(|execution| execution.attempt)
    }

    /// The headers that came with the call.
    pub fn headers(&self) -> Option<&BTreeMap<String, String>> {
        self.inner.execution.as_deref().map(|execution| &execution.headers)
    }

    /// When what runs here must be done.
    pub fn deadline(&self) -> Option<Instant> {
        let over = self.inner.execution.as_deref().is_some_and(ExecutionScope::has_ended);
        self.inner.deadline.filter(|_| !over)
    }

    /// The time left until the deadline, if there is one; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The position in the trace, as a W3C `traceparent` header that names this execution's span.
    pub fn traceparent(&self) -> Option<String> {
        self.inner.trace.as_ref().map(Trace::to_string)
    }

    /// The W3C `tracestate` that came along.
    pub fn tracestate(&self) -> Option<&str> {
        self.inner.trace.as_ref().and_then(Trace::state)
    }

    /// Cancelled when the execution is cancelled, its deadline passes or its reservation is lost. The handler itself is
    /// dropped then; this is for the tasks that it has spawned.
    pub fn cancellation(&self) -> CancellationToken {
        self.inner.cancellation.clone().unwrap_or_default()
    }

    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.inner.trace.as_ref()
    }

    pub(crate) fn execution_scope(&self) -> Option<&Arc<ExecutionScope>> {
        self.inner.execution.as_ref()
    }

    /// The execution, as long as it has not completed.
    pub(crate) fn running(&self) -> Option<&Arc<ExecutionScope>> {
        self.inner.execution.as_ref().filter(|execution| !execution.has_ended())
    }

    /// The execution waits for a call as long as this lives.
    pub(crate) fn wait(&self) -> Option<Waiting> {
        self.running().map(|execution| execution.wait())
    }

    /// Whose property the things are that are made here.
    pub(crate) fn owner(&self) -> Option<String> {
        Some(self.inner.instance.clone()).filter(|instance| !instance.is_empty())
    }

    /// An execution with what the context has to say: the trace, the deadline and the parent.
    pub(crate) fn new_call(&self, agent: &Agent, delegate: &str, arguments: Vec<Bytes>) -> NewExecution {
        let mut execution = NewExecution {
            agent: agent.agent.clone(),
            instance: agent.instance.clone(),
            delegate: delegate.to_owned(),
            arguments,
            parent: self.running().map(|execution| execution.parent()),
            timeout: self.remaining(),
            ..NewExecution::new(self.fabric().new_id())
        };
        if let Some(trace) = &self.inner.trace {
            trace.write_headers(&mut execution.headers);
        }
        execution
    }

    /// Notes a creation that is under way and that nobody awaits: its failure fails the execution, or is logged where
    /// there is none.
    pub(crate) fn created(&self, creation: impl Future<Output = Result<()>> + Send + 'static) {
        match self.running() {
            Some(execution) => execution.created(Box::pin(creation)),
            None => {
                tokio::spawn(async move {
                    if let Err(error) = creation.await {
                        tracing::error!(%error, "a creation that nobody waited for failed");
                    }
                });
            }
        }
    }
}
