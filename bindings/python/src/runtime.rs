//! The threads under everything, and how a thread of Python waits for them.

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use perper::{ErrorKind, application::worker::Port, protocol::Fabric};
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{errors, fork};

/// How often a waiting main thread looks for signals: what Ctrl-C costs in delay at most.
const SIGNALS: Duration = Duration::from_millis(50);
/// How long a process that ends waits for its threads to come back from here, and for its sessions to be closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What one process has. Made with the first use, so that importing starts no threads.
struct Process {
    generation: u64,
    runtime: Runtime,
    /// The interpreter is about to end: nobody may wait here any more, since a thread that wakes up too late could not
    /// go back into Python.
    closing: CancellationToken,
    waiting: Arc<AtomicUsize>,
    sessions: Vec<Fabric>,
}

/// Locked only while attached to the interpreter, which forks are made under as well: so it is never locked in a child.
static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Process>> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(_py: Python<'_>, use_it: impl FnOnce(&mut Process) -> R) -> PyResult<R> {
    let mut process = lock();
    if process.as_ref().is_some_and(|process| process.generation != fork::generation()) {
        // The parent's: its threads are not here, and must not be waited for.
        std::mem::forget(process.take());
    }
    if process.is_none() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(Port::runtime_threads())
            .enable_all()
            .thread_name("perper")
            .build()
            .map_err(|error| {
                PyRuntimeError::new_err(format!("the threads of perper cannot be started: {error}"))
            })?;
        *process = Some(Process {
            generation: fork::generation(),
            runtime,
            closing: CancellationToken::new(),
            waiting: Arc::default(),
            sessions: Vec::new(),
        });
    }
    match process.as_mut() {
        Some(process) => Ok(use_it(process)),
        None => Err(PyRuntimeError::new_err("the threads of perper cannot be started")),
    }
}

/// Where tasks run.
pub(crate) fn handle(py: Python<'_>) -> PyResult<Handle> {
    with(py, |process| process.runtime.handle().clone())
}

/// A session to be closed when the process ends.
pub(crate) fn remember(py: Python<'_>, fabric: &Fabric) -> PyResult<()> {
    with(py, |process| process.sessions.push(fabric.clone()))
}

/// A session that has been closed.
pub(crate) fn forget(py: Python<'_>, fabric: &Fabric) -> PyResult<()> {
    // The prefix of its ids names a session.
    let prefix = |fabric: &Fabric| fabric.new_id().split('-').next().map(str::to_owned);
    let gone = prefix(fabric);
    with(py, |process| process.sessions.retain(|session| prefix(session) != gone))
}

/// What has been given up instead of waited for.
enum Waited<T> {
    Done(T),
    /// By the interpreter's end.
    Closing,
    /// By whoever holds the token.
    Cancelled,
    /// A look at the signals is due.
    Signals,
}

/// Waits without holding the interpreter. In the main thread signals are looked for meanwhile, so that Ctrl-C works.
///
/// `Ok(None)` when `cancel` was cancelled first.
pub(crate) fn wait<F>(
    py: Python<'_>,
    cancel: Option<&CancellationToken>,
    future: F,
) -> PyResult<Option<F::Output>>
where
    F: Future<Output: Send> + Send,
{
    let (handle, closing, waiting) = with(py, |process| {
        (process.runtime.handle().clone(), process.closing.clone(), process.waiting.clone())
    })?;
    if Handle::try_current().is_ok() {
        return Err(PyRuntimeError::new_err("a thread of perper cannot wait for itself"));
    }
    let never = CancellationToken::new();
    let cancel = cancel.unwrap_or(&never);
    let signals = in_main_thread(py)?;
    let mut future = pin!(future);
    if closing.is_cancelled() {
        return Err(closed(py));
    }
    loop {
        waiting.fetch_add(1, Ordering::AcqRel);
        let waited = py.detach(|| {
            let _entered = handle.enter();
            handle.block_on(async {
                tokio::select! {
                    biased;
                    done = future.as_mut() => Waited::Done(done),
                    () = closing.cancelled() => Waited::Closing,
                    () = cancel.cancelled() => Waited::Cancelled,
                    () = tokio::time::sleep(SIGNALS), if signals => Waited::Signals,
                }
            })
        });
        waiting.fetch_sub(1, Ordering::AcqRel);
        match waited {
            Waited::Done(done) => return Ok(Some(done)),
            Waited::Cancelled => return Ok(None),
            Waited::Closing => return Err(closed(py)),
            Waited::Signals => py.check_signals()?,
        }
    }
}

fn closed(py: Python<'_>) -> PyErr {
    errors::new(py, ErrorKind::Closed, "the interpreter is ending")
}

/// Only there does Python handle signals.
fn in_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        static MAIN: Cell<Option<(u64, bool)>> = const { Cell::new(None) };
    }
    // A child's main thread is the one that forked.
    let generation = fork::generation();
    if let Some((at, main)) = MAIN.get()
        && at == generation
    {
        return Ok(main);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let main = main.eq(threading.call_method0("get_ident")?)?;
    MAIN.set(Some((generation, main)));
    Ok(main)
}

/// Called when the interpreter is about to end: gives back what is reserved, and leaves no thread of Python waiting here.
pub(crate) fn close(py: Python<'_>) {
    let parts = match lock().as_mut() {
        Some(process) if process.generation == fork::generation() => Some((
            process.runtime.handle().clone(),
            process.closing.clone(),
            process.waiting.clone(),
            std::mem::take(&mut process.sessions),
        )),
        _ => None,
    };
    let Some((handle, closing, waiting, sessions)) = parts else { return };
    closing.cancel();
    py.detach(|| {
        let until = Instant::now() + FAREWELL;
        handle.block_on(async {
            let close = async {
                for session in &sessions {
                    // Closing never fails.
                    let _ = session.close().await;
                }
            };
            // A Fabric that does not answer will find out by the lease.
            let _ = tokio::time::timeout(FAREWELL, close).await;
        });
        while waiting.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}
