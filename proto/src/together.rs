//! Futures that one task polls.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_util::stream::{FuturesUnordered, Stream};
use futures_util::task::AtomicWaker;
use tokio::task::coop::has_budget_remaining;

/// A future that is spawned.
pub type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls everything that belongs to one connection in one task.
///
/// HTTP/2 comes with a task for the connection, one for each body on its way out, and one of ours that reads; a message
/// that comes in passes through three of them. On a runtime with several threads each step from task to task may be one
/// from thread to thread, at several microseconds each, which is more than the work itself. Here a step is a look at a
/// list, and nobody is woken but the one task.
///
/// The price is that one connection keeps at most one thread busy. Connections are what the load of a server is
/// spread over in any case.
#[derive(Clone, Debug, Default)]
pub struct Together {
    signal: Arc<Signal>,
}

/// What is known about wake-ups.
#[derive(Debug, Default)]
struct Signal {
    /// One of the constants below.
    state: AtomicU8,
    /// The future that the others are polled with has been woken.
    main: AtomicBool,
    /// The task.
    task: AtomicWaker,
    inbox: Mutex<Inbox>,
}

/// Nobody has been woken since the task last looked.
const IDLE: u8 = 0;
/// The task is looking; whoever is woken meanwhile is looked at before it sleeps.
const POLLING: u8 = 1;
/// Somebody has been woken.
const WOKEN: u8 = 2;

#[derive(Default)]
struct Inbox {
    futures: Vec<Spawned>,
    /// Nobody polls any more: what comes goes to tasks of its own.
    over: bool,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("over", &self.over).finish_non_exhaustive()
    }
}

/// How often the futures are looked at in a row before others on the same thread have their turn.
const ROUNDS: usize = 16;

impl Together {
    /// Has a future polled beside the main one. A panic in it ends it, and nothing else.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    /// As [`spawn`](Together::spawn).
    pub fn spawn_boxed(&self, future: Spawned) {
        let mut inbox = self.signal.inbox();
        if inbox.over {
            drop(inbox);
            go_on(future);
            return;
        }
        inbox.futures.push(future);
        drop(inbox);
        self.signal.wake_by_ref();
    }

    /// Polls a future until it is ready, and with it everything that is spawned. What is left then goes on in a task of
    /// its own. To be called once, in a tokio runtime.
    pub async fn run<F: Future>(self, main: F) -> F::Output {
        let mut main = pin!(main);
        let mut others = Others { signal: Arc::clone(&self.signal), futures: FuturesUnordered::new() };
        let woken = Waker::from(Arc::clone(&self.signal));
        let main_woken = Waker::from(Arc::new(Main(Arc::clone(&self.signal))));
        self.signal.main.store(true, Ordering::Relaxed);
        poll_fn(move |context| {
            let signal = &self.signal;
            signal.task.register(context.waker());
            for _ in 0..ROUNDS {
                // What was woken up to here is looked at in this round.
                signal.state.store(POLLING, Ordering::SeqCst);
                others.poll(&mut Context::from_waker(&woken));
                if signal.main.swap(false, Ordering::SeqCst)
                    && let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&main_woken))
                {
                    return Poll::Ready(output);
                }
                if signal.state.compare_exchange(POLLING, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return Poll::Pending;
                }
                // Without budget nothing of the runtime's is ready, and to ask again would go round in circles.
                if !has_budget_remaining() {
                    break;
                }
            }
            signal.state.store(WOKEN, Ordering::SeqCst);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Together {
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}

impl Signal {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == IDLE {
            self.task.wake();
        }
    }
}

/// The waker of the main future.
struct Main(Arc<Signal>);

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.main.store(true, Ordering::SeqCst);
        self.0.wake_by_ref();
    }
}

/// What was spawned.
struct Others {
    signal: Arc<Signal>,
    futures: FuturesUnordered<Caught>,
}

impl Others {
    fn poll(&mut self, context: &mut Context<'_>) {
        self.take();
        while let Poll::Ready(Some(())) = Pin::new(&mut self.futures).poll_next(context) {}
    }

    fn take(&mut self) {
        let spawned = std::mem::take(&mut self.signal.inbox().futures);
        self.futures.extend(spawned.into_iter().map(Caught));
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.signal.inbox().over = true;
        self.take();
        let futures = std::mem::take(&mut self.futures);
        // Within a runtime that is shut down there is nothing to go on with.
        if futures.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        go_on(Box::pin(async move {
            let mut futures = futures;
            poll_fn(|context| {
                while ready!(Pin::new(&mut futures).poll_next(context)).is_some() {}
                Poll::Ready(())
            })
            .await;
        }));
    }
}

/// Polls a future in a task of its own.
///
/// A runtime that is being shut down drops the task before `spawn` returns, while it counts as borrowed. What a future
/// does when it is dropped may be to enter the runtime; so it has a second owner, and is dropped after `spawn`.
fn go_on(future: Spawned) {
    let future = Arc::new(Mutex::new(future));
    let polled = Arc::clone(&future);
    tokio::spawn(poll_fn(move |context| {
        polled.lock().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context)
    }));
    drop(future);
}

/// A future whose panic ends it alone, as in a task of its own.
struct Caught(Spawned);

impl Future for Caught {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // A future that has panicked is not polled again, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => {
                tracing::error!("a part of a connection panicked");
                Poll::Ready(())
            }
        }
    }
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
