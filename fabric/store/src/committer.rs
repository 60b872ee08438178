//! Group commit: many changes, few commits.
//!
//! Whoever changes something hands over a batch and is told, in order, once it is as durable as configured. One thread
//! takes all that waits, commits it as one group and tells everyone; what comes meanwhile forms the next group. So the
//! slower the disk, the larger the groups, and a flush is paid once for all that waited.

mod commit;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::commit::Commit;
use self::queue::{Completion, Group, Queue};
use crate::{Error, ErrorKind, HeadRoom, Result, Store, WriteBatch};

/// How a [`Committer`] works.
#[derive(Debug, Clone)]
pub struct CommitterOptions {
    /// A group larger than this is committed in parts, so that the first of it need not wait for the last.
    pub max_group_bytes: usize,
    /// [`Committer::commit`] commits on the caller's thread if nothing else is under way, the store does not wait
    /// for the disk, and the batch is no larger than this. Zero never does.
    ///
    /// It saves two changes of thread, which cost more than a small commit itself.
    pub inline_bytes: usize,
}

impl Default for CommitterOptions {
    fn default() -> Self {
        Self { max_group_bytes: 16 * 1024 * 1024, inline_bytes: 256 * 1024 }
    }
}

/// Groups that one [`Committer::drive`] commits at the most.
const DRIVEN_GROUPS: usize = 32;

/// What a [`Committer`] did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitterStats {
    /// Commits of the store.
    pub groups: u64,
    /// Batches in them.
    pub batches: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
    /// Bytes that wait right now.
    pub queued_bytes: u64,
}

/// Writes batches in the order in which they come, many at once.
///
/// After a failed commit nothing is acknowledged any more: what is on disk is unknown until the store is opened again,
/// and a later success would suggest that what came before is there too.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    store: Arc<dyn Store>,
    head_room: Option<HeadRoom>,
    options: CommitterOptions,
    queue: Queue,
    groups: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
}

impl Committer {
    /// Starts a committer over a store, of which it is the only writer from now on. Without `head_room` the disk is not
    /// watched.
    pub fn start(
        store: Arc<dyn Store>,
        head_room: Option<HeadRoom>,
        options: CommitterOptions,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            store,
            head_room,
            options,
            queue: Queue::default(),
            groups: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let thread = thread::Builder::new()
            .name("perper-committer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run()
            })
            .map_err(|error| Error::io("starting the thread that commits", &error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Hands over a batch; `completion` is called once with how it went, in the order of the batches, on the
    /// committer's thread or, when the batch is refused at once, on this one. It should be short and must not wait.
    ///
    /// Never commits on the caller's thread, so it may be called with a lock held that `completion` takes, as long as
    /// the caller can bear the refusal: [`ErrorKind::DiskFull`] and [`ErrorKind::InvalidBatch`] say that nothing was or
    /// will be written, and leave the committer in order.
    pub fn enqueue(&self, batch: WriteBatch, completion: impl FnOnce(Result<()>) + Send + 'static) {
        match self.shared.admit(&batch) {
            Ok(()) => self.shared.queue.push(batch, Completion::Callback(Box::new(completion))),
            Err(error) => completion(Err(error)),
        }
    }

    /// As [`enqueue`](Self::enqueue), but nobody is woken for it: it is committed with the next that is. The
    /// caller [`drive`](Self::drive)s the committer afterwards, once it has let go of its locks, unless it is in no hurry.
    pub fn defer(&self, batch: WriteBatch, completion: impl FnOnce(Result<()>) + Send + 'static) {
        match self.shared.admit(&batch) {
            Ok(()) => self.shared.queue.push_quietly(batch, Completion::Callback(Box::new(completion))),
            Err(error) => completion(Err(error)),
        }
    }

    /// Sees to it that what was deferred is committed: on the caller's thread, completions included, if nothing else is
    /// under way, the store does not wait for the disk and it is not too much; otherwise on the committer's.
    ///
    /// It saves two changes of thread, which cost more than a small commit itself. Must not be called with a lock held
    /// that a completion takes.
    pub fn drive(&self) {
        let shared = &self.shared;
        let mut group = Group::default();
        // Completions may defer more. Nobody is kept here for long by what others do.
        for _ in 0..DRIVEN_GROUPS {
            if shared.store.may_wait() {
                break;
            }
            let Some(turn) = shared.queue.take_group(&mut group, shared.options.inline_bytes) else { return };
            let result = shared.commit_group(&mut group);
            turn.end_quietly(&result);
        }
        shared.queue.wake();
    }

    /// Hands over a batch; the result waits until it is durable. Dropping the result takes nothing back.
    pub fn commit(&self, batch: WriteBatch) -> Commit {
        let shared = &self.shared;
        if let Err(error) = shared.admit(&batch) {
            return Commit::ready(Err(error));
        }
        let inline = batch.size() <= shared.options.inline_bytes && !shared.store.may_wait();
        if inline && let Some(turn) = shared.queue.take_turn() {
            let result = shared.write(std::slice::from_ref(&batch));
            turn.end(&result);
            return Commit::ready(result);
        }
        let (completion, commit) = Commit::waiting();
        shared.queue.push(batch, completion);
        commit
    }

    /// Whether writes that take up space are welcome. While they are not, batches are refused with
    /// [`ErrorKind::DiskFull`] unless they [use the reserve](WriteBatch::use_reserve).
    pub fn has_head_room(&self) -> bool {
        self.shared.head_room.as_ref().is_none_or(HeadRoom::has_head_room)
    }

    /// Why nothing is acknowledged any more, if that is so.
    pub fn failure(&self) -> Option<Error> {
        self.shared.queue.failure()
    }

    /// What it did so far.
    pub fn stats(&self) -> CommitterStats {
        CommitterStats {
            groups: self.shared.groups.load(Ordering::Relaxed),
            batches: self.shared.batches.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            queued_bytes: self.shared.queue.bytes() as u64,
        }
    }

    /// Commits what waits, refuses what comes, ends the thread and closes the store. Not to be called from a
    /// completion.
    pub fn close(&self) -> Result<()> {
        self.stop();
        self.shared.queue.failure().map_or(Ok(()), Err)?;
        self.shared.store.close()
    }

    fn stop(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A completion may own the committer and be the last to do so: then this is the committer's own thread, which
        // ends by itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // Panics of commits and completions are caught, so there is none to pass on.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn admit(&self, batch: &WriteBatch) -> Result<()> {
        batch.check()?;
        match &self.head_room {
            Some(head_room) if !batch.uses_reserve() => head_room.check(),
            _ => Ok(()),
        }
    }

    /// Commits groups until the queue is closed and empty.
    fn run(&self) {
        let mut group = Group::default();
        while let Some(turn) = self.queue.next_group(&mut group) {
            let result = self.commit_group(&mut group);
            turn.end(&result);
        }
    }

    /// Commits a group and tells everyone of it.
    fn commit_group(&self, group: &mut Group) -> Result<()> {
        let mut result = Ok(());
        while let Some(part) = group.next_part(self.options.max_group_bytes) {
            if result.is_ok() {
                result = self.write(&group.batches[part.clone()]);
                if let Err(error) = &result {
                    // Before anyone is told, so that nobody who was can get another batch in.
                    self.queue.fail(error);
                }
            }
            for completion in group.completions.drain(..part.len()) {
                completion.run(result.clone());
            }
        }
        group.clear();
        result
    }

    fn write(&self, batches: &[WriteBatch]) -> Result<()> {
        // Reads queue for their order only.
        if batches.iter().all(WriteBatch::is_empty) {
            return Ok(());
        }
        let bytes = batches.iter().map(WriteBatch::size).sum();
        if let Some(head_room) = &self.head_room {
            head_room.spend(bytes);
        }
        // sled in particular panics where it meets what it does not expect.
        let result = catch_unwind(AssertUnwindSafe(|| self.store.commit(batches))).unwrap_or_else(|panic| {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Error::new(ErrorKind::Io, format!("the {} store panicked: {why}", self.store.kind())))
        });
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.batches.fetch_add(batches.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        result.map_err(|error| {
            tracing::error!(%error, "a commit failed, nothing is acknowledged any more");
            error.poison()
        })
    }
}
