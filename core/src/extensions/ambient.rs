use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinHandle;

use super::context::Context;
use crate::{
    Error, ErrorKind, Result,
    protocol::{Fabric, Settings},
};

tokio::task_local! {
    static CURRENT: Context;
}

/// What serves where no context is set.
static DEFAULTS: Mutex<Defaults> = Mutex::new(Defaults { connected: None, running: Vec::new(), next: 0 });

struct Defaults {
    connected: Option<Context>,
    /// One for each agent that runs in this process. They serve only while there is a single one.
    running: Vec<(u64, Context)>,
    next: u64,
}

fn defaults() -> MutexGuard<'static, Defaults> {
    DEFAULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The current context. It fails where none is set and the process has no default.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// perper::connect().await?;
/// let context = perper::context()?;
/// let greeting: String = context.call_agent(&perper::Agent::new("Hello", "hello-1"), "Greet", "World").await?;
/// # drop(greeting);
/// # Ok(())
/// # }
/// ```
pub fn context() -> Result<Context> {
    try_context().ok_or_else(|| {
        let message = match defaults().running.len() {
            0 => {
                "there is no context here: call this from a handler, from a task that was spawned with \
                 `perper::spawn`, or after `perper::connect`"
            }
            _ => {
                "there is no context here, and this process runs several agents, so that none of them is the default: \
                 spawn tasks with `perper::spawn`, or pass the context explicitly"
            }
        };
        Error::new(ErrorKind::InvalidSettings, message)
    })
}

/// The current context, if there is one.
pub fn try_context() -> Option<Context> {
    CURRENT.try_with(Context::clone).ok().or_else(|| {
        let defaults = defaults();
        match (&defaults.connected, &defaults.running[..]) {
            (Some(context), _) | (None, [(_, context)]) => Some(context.clone()),
            _ => None,
        }
    })
}

/// Connects to the Fabric that the environment names, and makes the connection this process' default context.
pub async fn connect() -> Result<Context> {
    connect_with(Settings::from_env()?).await
}

/// As [`connect`], with settings of one's own.
pub async fn connect_with(settings: Settings) -> Result<Context> {
    let context = Context::new(Fabric::connect(settings).await?);
    defaults().connected = Some(context.clone());
    Ok(context)
}

/// Spawns a task on tokio that keeps the current context, if there is one.
///
/// The task outlives the handler that spawned it. From the moment that the execution has completed, what the task calls
/// has no parent and no deadline any more.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match try_context() {
        Some(context) => tokio::spawn(CURRENT.scope(context, future)),
        None => tokio::spawn(future),
    }
}

impl Context {
    /// Runs a future with this context as the current one.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    /// Runs a function with this context as the current one.
    pub fn sync_scope<R>(&self, function: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self.clone(), function)
    }
}

/// Serves as the process' default while it is the only one.
pub(crate) fn register_default(context: Context) -> DefaultGuard {
    let mut defaults = defaults();
    let id = defaults.next;
    defaults.next += 1;
    defaults.running.push((id, context));
    DefaultGuard(id)
}

/// Takes the default back when the agent ends.
#[derive(Debug)]
pub(crate) struct DefaultGuard(u64);

impl Drop for DefaultGuard {
    fn drop(&mut self) {
        defaults().running.retain(|(id, _)| *id != self.0);
    }
}
