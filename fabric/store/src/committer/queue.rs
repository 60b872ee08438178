//! What waits for its commit, and whose turn it is to commit.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::{Error, ErrorKind, Result, WriteBatch};

/// Whom to tell.
pub(super) enum Completion {
    Callback(Box<dyn FnOnce(Result<()>) + Send>),
    Oneshot(oneshot::Sender<Result<()>>),
}

impl Completion {
    pub(super) fn run(self, result: Result<()>) {
        match self {
            Completion::Callback(callback) => {
                // One faulty completion must not silence those after it.
                if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                    tracing::error!("what was to happen after a commit panicked");
                }
            }
            // Whoever waited may have gone.
            Completion::Oneshot(sender) => drop(sender.send(result)),
        }
    }
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) batches: Vec<WriteBatch>,
    /// One for each batch from `next` on, in order.
    pub(super) completions: Vec<Completion>,
    next: usize,
}

impl Group {
    /// The next batches whose bytes are within the bound, but at least one.
    pub(super) fn next_part(&mut self, max_bytes: usize) -> Option<Range<usize>> {
        let start = self.next;
        let mut bytes = self.batches.get(start)?.size();
        let mut end = start + 1;
        while let Some(batch) = self.batches.get(end) {
            bytes += batch.size();
            if bytes > max_bytes {
                break;
            }
            end += 1;
        }
        self.next = end;
        Some(start..end)
    }

    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.completions.clear();
        self.next = 0;
    }
}

#[derive(Default)]
pub(super) struct Queue {
    // A plain mutex: it is held for a few instructions, and never across a commit or a completion.
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Group,
    bytes: usize,
    /// Someone commits. There is one turn at a time, and it is taken only when nothing waits or with all that waits:
    /// so the order is kept.
    busy: bool,
    /// The thread sleeps. Without this, each batch would cost a system call to wake a thread that is awake.
    asleep: bool,
    closing: bool,
    failure: Option<Error>,
}

/// The right to commit, until it is ended.
pub(super) struct Turn<'a> {
    queue: &'a Queue,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch and sees to it that somebody commits it.
    pub(super) fn push(&self, batch: WriteBatch, completion: Completion) {
        if let Some(state) = self.add(batch, completion) {
            self.wake_if_due(state);
        }
    }

    /// Adds a batch. Whoever does so calls [`wake`](Self::wake) or takes a turn afterwards.
    pub(super) fn push_quietly(&self, batch: WriteBatch, completion: Completion) {
        drop(self.add(batch, completion));
    }

    fn add(&self, batch: WriteBatch, completion: Completion) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if let Some(error) = state.refusal() {
            drop(state);
            completion.run(Err(error));
            return None;
        }
        state.bytes += batch.size();
        state.waiting.batches.push(batch);
        state.waiting.completions.push(completion);
        Some(state)
    }

    /// Wakes the thread, if it sleeps and there is something to do.
    pub(super) fn wake(&self) {
        self.wake_if_due(self.lock());
    }

    /// All that waits, if nobody commits and it is no more than `max_bytes`.
    pub(super) fn take_group(&self, group: &mut Group, max_bytes: usize) -> Option<Turn<'_>> {
        let mut state = self.lock();
        if state.busy || state.waiting.batches.is_empty() {
            return None;
        }
        if state.bytes > max_bytes {
            self.wake_if_due(state);
            return None;
        }
        Some(self.begin_turn(&mut state, group))
    }

    fn begin_turn(&self, state: &mut State, group: &mut Group) -> Turn<'_> {
        // The emptied vectors go back to the queue and keep their room.
        std::mem::swap(&mut state.waiting, group);
        state.bytes = 0;
        state.busy = true;
        Turn { queue: self }
    }

    /// The right to commit without the thread, if nothing is under way.
    pub(super) fn take_turn(&self) -> Option<Turn<'_>> {
        let mut state = self.lock();
        if state.busy || state.refusal().is_some() || !state.waiting.batches.is_empty() {
            return None;
        }
        state.busy = true;
        Some(Turn { queue: self })
    }

    /// Waits for batches, takes all of them into the empty `group`; nothing once the queue is closed and empty.
    pub(super) fn next_group(&self, group: &mut Group) -> Option<Turn<'_>> {
        let mut state = self.lock();
        loop {
            if !state.busy && !state.waiting.batches.is_empty() {
                return Some(self.begin_turn(&mut state, group));
            }
            if state.closing && !state.busy {
                return None;
            }
            state.asleep = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
    }

    /// From now on nothing is taken any more.
    pub(super) fn fail(&self, error: &Error) {
        self.lock().failure.get_or_insert_with(|| error.clone());
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        self.wake_if_due(state);
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn wake_if_due(&self, mut state: MutexGuard<'_, State>) {
        let due = state.asleep && !state.busy && (state.closing || !state.waiting.batches.is_empty());
        if due {
            // So that only the first of many wakes it.
            state.asleep = false;
            drop(state);
            self.wake.notify_one();
        }
    }
}

impl State {
    fn refusal(&self) -> Option<Error> {
        if self.closing {
            return Some(Error::new(ErrorKind::Closed, "the committer is closed"));
        }
        self.failure.clone()
    }
}

impl Turn<'_> {
    /// Lets the next one commit; after an error there is none, and whoever waits is told so.
    pub(super) fn end(self, result: &Result<()>) {
        let queue = self.queue;
        self.end_quietly(result);
        queue.wake();
    }

    /// As [`end`](Self::end), by someone who looks at the queue again.
    pub(super) fn end_quietly(self, result: &Result<()>) {
        let mut state = self.queue.lock();
        if let Err(error) = result {
            state.failure.get_or_insert_with(|| error.clone());
            let refused = std::mem::take(&mut state.waiting);
            state.bytes = 0;
            drop(state);
            for completion in refused.completions {
                completion.run(Err(error.clone()));
            }
            state = self.queue.lock();
        }
        state.busy = false;
    }
}
