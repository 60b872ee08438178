use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use perper_proto::v1;
use tonic::Status;

/// A frame is closed once it holds about this many bytes, so that a client can begin on it early.
const FRAME_BYTES: usize = 256 * 1024;

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
    waker: Option<Waker>,
    /// Sent after everything else, as the end of the stream.
    end: Option<Option<Status>>,
    ended: bool,
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
        add(&mut queue.open);
        queue.bytes += bytes.max(1);
        if queue.bytes >= FRAME_BYTES {
            let frame = std::mem::take(&mut queue.open);
            queue.full.push_back(frame);
            queue.bytes = 0;
        }
        wake(queue);
        true
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
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl Frames {
    pub(super) fn new(outbox: Arc<Outbox>, on_drop: impl FnOnce() + Send + 'static) -> Self {
        Self { outbox, on_drop: Some(Box::new(on_drop)) }
    }
}

impl tokio_stream::Stream for Frames {
    type Item = Result<v1::ServerFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut queue = self.outbox.lock();
        if let Some(frame) = queue.full.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if queue.bytes > 0 {
            queue.bytes = 0;
            return Poll::Ready(Some(Ok(std::mem::take(&mut queue.open))));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut queue.end {
            let status = end.take();
            queue.ended = true;
            return Poll::Ready(status.map(Err));
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
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
