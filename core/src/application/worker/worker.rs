use std::{
    fmt,
    future::{Future, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context as Poller, Poll},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    conclude::conclude,
    event::{Event, Outcome},
    options::WorkerOptions,
    state::State,
};
use crate::{
    Error, ErrorKind, Result,
    extensions::{Connection, Context, Slots},
    protocol::{ExecutionFilter, Fabric, Watch, WatchEvent},
};

/// Serves an agent: tells which handlers to call, and takes what came of them.
///
/// Cheap to clone. One consumer asks for [`events`](Worker::events); anybody completes. The Rust runtime and every
/// binding stand on this one.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Arc<Connection>,
    /// No instance enters any more.
    stopped: CancellationToken,
    // A std mutex: it is held while events move between collections, never across an await.
    state: Mutex<State>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl Worker {
    /// Begins to listen.
    pub fn start(fabric: Fabric, options: WorkerOptions) -> Result<Self> {
        Worker::over(Arc::new(Connection::new(fabric)), options)
    }

    pub(crate) fn over(connection: Arc<Connection>, options: WorkerOptions) -> Result<Self> {
        if options.agent.is_empty() {
            let message = "the agent has no name; give it one, or set X_PERPER_AGENT";
            return Err(Error::new(ErrorKind::InvalidSettings, message));
        }
        let runtime = Handle::try_current().map_err(|_| {
            let message = "there is no tokio runtime here; start the worker from within one";
            Error::new(ErrorKind::InvalidSettings, message)
        })?;
        let notices = (options.upgrade || options.enter) && options.instance.is_none();
        let registry = ExecutionFilter {
            agent: REGISTRY.to_owned(),
            instance: options.agent.clone(),
            ..Default::default()
        };
        let options = Arc::new(options);
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let state = State::new(connection.clone(), options, runtime.clone(), shared.clone());
            Shared { connection, stopped: CancellationToken::new(), state: Mutex::new(state) }
        });
        if notices {
            let watch = shared.connection.fabric.observe_executions(registry, true);
            let notices = follow(watch, Arc::downgrade(&shared));
            runtime.spawn(shared.stopped.clone().run_until_cancelled_owned(notices));
        }
        Ok(Worker { shared })
    }

    /// Everything that has come since the last time, waiting for it if need be. The last event is
    /// [`Event::Shutdown`]; do not ask after it. Dropping the future loses nothing.
    pub async fn events(&self) -> Vec<Event> {
        poll_fn(|poller| self.poll_events(poller)).await
    }

    /// As [`events`](Worker::events), for those who poll.
    pub fn poll_events(&self, poller: &mut Poller<'_>) -> Poll<Vec<Event>> {
        let mut state = self.state();
        state.poll(poller).map(|()| std::iter::from_fn(|| state.next_event()).collect())
    }

    /// Ends an invocation. Waits until the Fabric has taken it, with everything that the handler created before.
    ///
    /// An invocation that is over already, because it was cancelled, is no error: its outcome is nobody's.
    pub async fn complete(&self, invocation: u64, outcome: Outcome) {
        self.begin_complete(invocation, outcome).await;
    }

    /// As [`complete`](Worker::complete), with the invocation ended at once, and a future that only has to be waited for.
    pub(super) fn begin_complete(
        &self,
        invocation: u64,
        outcome: Outcome,
    ) -> impl Future<Output = ()> + Send + use<> {
        let concluded = self.change(|state| state.complete(invocation, outcome));
        let fabric = self.shared.connection.fabric.clone();
        async move {
            if let Some(concluded) = concluded {
                conclude(fabric, concluded.execution, concluded.outcome).await;
            }
        }
    }

    /// The context of an invocation that has no outcome yet.
    pub(super) fn context(&self, invocation: u64) -> Option<Context> {
        self.state().context(invocation)
    }

    /// Takes no more calls; those in flight go on. [`Event::Shutdown`] comes when the last has ended.
    pub fn stop(&self) {
        self.shared.stopped.cancel();
        self.change(State::stop);
    }

    /// Takes that many executions more, whatever becomes of those before: for a worker whose
    /// [`concurrency`](crate::AgentSettings::concurrency) is 0.
    pub fn grant(&self, executions: u64) {
        self.state().grant(executions);
    }

    /// Gives everything in flight back: its handlers are cancelled, and other workers get it.
    pub fn release_all(&self) {
        self.change(State::release_all);
    }

    /// How many handlers run.
    pub fn in_flight(&self) -> usize {
        self.state().in_flight()
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.shared.change(change)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    /// Changes what is known, and wakes whoever waits for events if that made any.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, waker) = {
            let mut state = self.state();
            (change(&mut state), state.wake())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots for Shared {
    fn lend(&self) {
        self.state().lend();
    }

    fn take_back(&self) {
        self.state().take_back();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

/// The agent whose executions are the instances; see `instances.proto`.
const REGISTRY: &str = "Registry";

/// Lets instances enter that exist already or are started elsewhere, although nobody calls them here.
async fn follow(mut watch: Watch, worker: Weak<Shared>) {
    loop {
        let event = watch.next().await;
        let Some(worker) = worker.upgrade() else { return };
        match event {
            Ok(WatchEvent::Execution(registered)) => {
                worker.change(|state| state.notice(registered.execution, registered.incarnation))
            }
            Ok(WatchEvent::ExecutionRemoved(instance)) => worker.change(|state| state.gone(&instance)),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "instances cannot be watched; they enter when they are called");
                return;
            }
        }
    }
}
