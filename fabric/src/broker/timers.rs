use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio_util::time::{DelayQueue, delay_queue};

use super::SessionId;

/// What is to be done at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    /// An execution's deadline.
    Deadline(Arc<str>),
    /// Nobody has fetched an execution's result.
    Retention(Arc<str>),
    /// A session may have gone silent.
    Lease(SessionId),
}

/// Timers by what they are for: setting one again moves it. One task sleeps until the next is due.
///
/// tokio-util's `DelayQueue` is a hashed wheel: setting and clearing cost the same at any number of timers.
pub(super) struct Timers {
    // A plain mutex: it is held for one operation of the wheel.
    wheel: Mutex<Wheel>,
    /// Timers are set from the committer's thread too, where there is no runtime by itself.
    runtime: tokio::runtime::Handle,
}

#[derive(Default)]
struct Wheel {
    queue: DelayQueue<Timer>,
    keys: HashMap<Timer, delay_queue::Key>,
    waker: Option<Waker>,
    closed: bool,
}

impl Timers {
    /// Timers on the runtime that this is called on.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { wheel: Mutex::default(), runtime: tokio::runtime::Handle::current() })
    }

    fn lock(&self) -> MutexGuard<'_, Wheel> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, timer: Timer, at: Instant) {
        let _runtime = self.runtime.enter();
        let mut wheel = self.lock();
        let at = tokio::time::Instant::from_std(at);
        match wheel.keys.get(&timer) {
            Some(key) => {
                let key = *key;
                wheel.queue.reset_at(&key, at);
            }
            None => {
                let key = wheel.queue.insert_at(timer.clone(), at);
                wheel.keys.insert(timer, key);
            }
        }
        if let Some(waker) = wheel.waker.take() {
            drop(wheel);
            waker.wake();
        }
    }

    pub(super) fn clear(&self, timer: &Timer) {
        let mut wheel = self.lock();
        if let Some(key) = wheel.keys.remove(timer) {
            wheel.queue.remove(&key);
        }
    }

    /// Ends [`next`](Self::next).
    pub(super) fn close(&self) {
        let mut wheel = self.lock();
        wheel.closed = true;
        if let Some(waker) = wheel.waker.take() {
            drop(wheel);
            waker.wake();
        }
    }

    /// The next timer that is due; nothing once closed.
    pub(super) async fn next(&self) -> Option<Timer> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Timer>> {
        let mut wheel = self.lock();
        if wheel.closed {
            return Poll::Ready(None);
        }
        match wheel.queue.poll_expired(context) {
            Poll::Ready(Some(expired)) => {
                let timer = expired.into_inner();
                wheel.keys.remove(&timer);
                Poll::Ready(Some(timer))
            }
            // Empty, or nothing due yet: a timer that is set wakes this up.
            Poll::Ready(None) | Poll::Pending => {
                wheel.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_move_and_clear() {
        let timers = Timers::new();
        let now = tokio::time::Instant::now().into_std();
        let lease = |number| Timer::Lease(SessionId(number));
        timers.set(lease(1), now + Duration::from_secs(1));
        timers.set(lease(2), now + Duration::from_secs(2));
        timers.set(lease(3), now + Duration::from_secs(3));
        timers.set(lease(1), now + Duration::from_secs(4));
        timers.clear(&lease(2));
        assert_eq!(timers.next().await, Some(lease(3)));
        assert_eq!(timers.next().await, Some(lease(1)));
        timers.close();
        assert_eq!(timers.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_timer_wakes_the_sleeper() {
        let timers = Timers::new();
        let start = tokio::time::Instant::now();
        timers.set(Timer::Lease(SessionId(1)), start.into_std() + Duration::from_secs(100));
        let sleeper = tokio::spawn({
            let timers = Arc::clone(&timers);
            async move { timers.next().await }
        });
        tokio::task::yield_now().await;
        timers.set(Timer::Lease(SessionId(2)), start.into_std() + Duration::from_secs(1));
        assert_eq!(sleeper.await.unwrap(), Some(Timer::Lease(SessionId(2))));
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
