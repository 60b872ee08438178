use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use perper_proto::v1;
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// A frame is closed once it holds about this many bytes, so that a client can begin on it early.
const FRAME_BYTES: usize = 256 * 1024;

/// How long something may wait for company that nobody waits for. A frame of its own costs the server a system call and
/// the client a wake-up.
const LATER: Duration = Duration::from_millis(1);

/// What waits to be sent to one client, gathered into frames.
///
/// Whoever has something to say adds it and goes on; the connection takes whatever has gathered whenever it can send. So
/// the busier a connection is, the more goes into one frame. Nothing here is bounded by itself: all that is added was
/// asked for, within the limits on requests in flight and on credit.
pub(super) struct Outbox {
    // A plain mutex, held to push onto a vector.
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    full: VecDeque<v1::ServerFrame>,
    open: v1::ServerFrame,
    /// Bytes in `open`, roughly.
    bytes: usize,
    /// Nobody waits for anything in `open`.
    later: bool,
    waker: Option<Waker>,
    /// Sent after everything else, as the end of the stream.
    end: Option<Option<Status>>,
    ended: bool,
}

impl Queue {
    fn add(&mut self, bytes: usize, add: impl FnOnce(&mut v1::ServerFrame)) {
        add(&mut self.open);
        self.bytes += bytes.max(1);
        if self.bytes >= FRAME_BYTES {
            let frame = std::mem::take(&mut self.open);
            self.full.push_back(frame);
            self.bytes = 0;
        }
    }

    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }
}

impl Outbox {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the open frame; `bytes` is about what is added. Once the stream is to end nothing is added any more, and
    /// `add` is not called: whoever adds what must not get lost asks for [`offer`](Self::offer).
    pub(super) fn add(&self, bytes: usize, add: impl FnOnce(&mut v1::ServerFrame)) {
        let _in_time = self.offer(bytes, add);
    }

    /// As [`add`](Self::add); false if it came too late.
    #[must_use]
    pub(super) fn offer(&self, bytes: usize, add: impl FnOnce(&mut v1::ServerFrame)) -> bool {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return false;
        }
        queue.later = false;
        queue.add(bytes, add);
        wake(queue);
        true
    }

    /// As [`add`](Self::add), of what nobody waits for: it goes with whatever comes next, or after [`LATER`].
    pub(super) fn add_later(&self, bytes: usize, add: impl FnOnce(&mut v1::ServerFrame)) {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return;
        }
        queue.later |= queue.bytes == 0;
        queue.add(bytes, add);
        // Also to begin to count the time.
        wake(queue);
    }

    /// Ends the stream once everything before has been sent; with a status, as a failure.
    pub(super) fn end(&self, status: Option<Status>) {
        let mut queue = self.lock();
        queue.end.get_or_insert(status);
        wake(queue);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }
}

fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The frames of an outbox, as the response stream of `Attach`. `on_drop` runs when the connection is gone.
pub(crate) struct Frames {
    outbox: Arc<Outbox>,
    /// What is in the open frame can wait until then. Left to run out rather than set anew for each frame.
    later: Option<Pin<Box<Sleep>>>,
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl Frames {
    pub(super) fn new(outbox: Arc<Outbox>, on_drop: impl FnOnce() + Send + 'static) -> Self {
        Self { outbox, later: None, on_drop: Some(Box::new(on_drop)) }
    }
}

impl tokio_stream::Stream for Frames {
    type Item = Result<v1::ServerFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { outbox, later, .. } = self.get_mut();
        let mut queue = outbox.lock();
        if let Some(frame) = queue.full.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let waits = queue.bytes > 0 && queue.later && queue.end.is_none() && {
            let later = later.get_or_insert_with(|| Box::pin(sleep(LATER)));
            later.as_mut().poll(context).is_pending()
        };
        if queue.bytes > 0 && !waits {
            queue.bytes = 0;
            queue.later = false;
            if later.as_ref().is_some_and(|later| later.is_elapsed()) {
                *later = None;
            }
            return Poll::Ready(Some(Ok(std::mem::take(&mut queue.open))));
        }
        if waits {
            queue.wait(context);
            return Poll::Pending;
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut queue.end {
            let status = end.take();
            queue.ended = true;
            return Poll::Ready(status.map(Err));
        }
        queue.wait(context);
        Poll::Pending
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.take() {
            on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn what_gathers_goes_in_one_frame_and_the_end_comes_last() {
        let outbox = Outbox::new();
        outbox.add(1, |frame| frame.succeeded.push(1));
        outbox.add(1, |frame| frame.succeeded.push(2));
        outbox.end(Some(Status::aborted("over")));
        outbox.add(1, |frame| frame.succeeded.push(3));
        let mut frames = Frames::new(outbox, || {});
        assert_eq!(frames.next().await.unwrap().unwrap().succeeded, [1, 2]);
        assert_eq!(frames.next().await.unwrap().unwrap_err().code(), tonic::Code::Aborted);
        assert!(frames.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_goes_with_the_next_or_by_itself_after_a_moment() {
        let outbox = Outbox::new();
        let mut frames = Frames::new(Arc::clone(&outbox), || {});
        for round in 0..3 {
            outbox.add_later(1, |frame| frame.succeeded.push(round));
            let moment = tokio::time::timeout(LATER / 2, frames.next());
            assert!(moment.await.is_err(), "it does not go at once");
            outbox.add(1, |frame| frame.succeeded.push(100 + round));
            assert_eq!(frames.next().await.unwrap().unwrap().succeeded, [round, 100 + round]);
            tokio::time::sleep(LATER).await;
            // The time that began in this round has run out; what comes now may go at once.
            outbox.add_later(1, |frame| frame.succeeded.push(200 + round));
            assert_eq!(frames.next().await.unwrap().unwrap().succeeded, [200 + round]);
        }
    }

    #[tokio::test]
    async fn a_full_frame_is_closed() {
        let outbox = Outbox::new();
        for sequence in 0..3 {
            outbox.add(FRAME_BYTES, |frame| frame.succeeded.push(sequence));
        }
        let mut frames = Frames::new(outbox, || {});
        for sequence in 0..3 {
            assert_eq!(frames.next().await.unwrap().unwrap().succeeded, [sequence]);
        }
    }
}
