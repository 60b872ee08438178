use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use perper_store::{Committer, Direction, Error, ErrorKind, KeyRange, Result, Space, Store, WriteBatch};

use super::record::{Part, key, ranges};

/// Keys that one commit removes. Small enough that others hardly wait for it.
const STEP: usize = 512;

/// Removes discarded contents on a thread of its own, in small commits between those of requests.
///
/// Contents are discarded durably before they come here, and nobody reads or writes them any more, so no lock is
/// needed, and what a stop leaves behind the next start hands over again.
pub(in crate::engine::embedded) struct Sweeper {
    sweeps: Sweeps,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where discarded contents are handed over.
#[derive(Clone)]
pub(in crate::engine::embedded) struct Sweeps(Sender<Message>);

enum Message {
    Sweep { space: Space, contents: u64 },
    Stop,
}

/// What a [`Sweeper`] will take from. Apart from it, since the objects that hand over exist before the committer does.
pub(in crate::engine::embedded) struct SweepQueue(Receiver<Message>);

/// A queue of contents to remove.
pub(in crate::engine::embedded) fn queue() -> (Sweeps, SweepQueue) {
    let (sender, receiver) = mpsc::channel();
    (Sweeps(sender), SweepQueue(receiver))
}

impl Sweeps {
    /// Hands over contents whose discarding is durable.
    pub(super) fn sweep(&self, space: Space, contents: u64) {
        // Without a sweeper the server is stopping; the next start hands them over again.
        let _ = self.0.send(Message::Sweep { space, contents });
    }
}

impl Sweeper {
    pub(in crate::engine::embedded) fn start(
        sweeps: Sweeps,
        queue: SweepQueue,
        store: Arc<dyn Store>,
        committer: Arc<Committer>,
    ) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let sweep = Sweep { store, committer, stopping: Arc::clone(&stopping) };
        let thread = thread::Builder::new()
            .name("perper-sweeper".to_owned())
            .spawn(move || sweep.run(&queue))
            .map_err(|error| {
                Error::new(ErrorKind::Io, format!("starting the thread that sweeps: {error}"))
            })?;
        Ok(Self { sweeps, stopping, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread after the commit under way. To be called before the committer is closed, and not from a
    /// completion of it.
    pub(in crate::engine::embedded) fn close(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!(
                "the thread that removes discarded contents panicked; the next start removes the rest"
            );
        }
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = self.sweeps.0.send(Message::Stop);
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // Not joined: this may be a completion, on the committer's thread, for which the sweeper waits.
        self.stop();
    }
}

struct Sweep {
    store: Arc<dyn Store>,
    committer: Arc<Committer>,
    stopping: Arc<AtomicBool>,
}

impl Sweep {
    fn run(&self, queue: &SweepQueue) {
        while let Ok(Message::Sweep { space, contents }) = queue.0.recv() {
            match self.remove(space, contents) {
                Ok(true) => {}
                Ok(false) => return,
                // The committer has told about its own failure.
                Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Poisoned) => return,
                Err(error) => tracing::error!(
                    %error,
                    space = space.name(),
                    contents,
                    "discarded contents could not be removed; the next start tries again"
                ),
            }
        }
    }

    /// Removes everything of some contents; false if it was told to stop.
    fn remove(&self, space: Space, contents: u64) -> Result<bool> {
        for mut range in ranges(contents) {
            loop {
                if self.stopping.load(Ordering::Acquire) {
                    return Ok(false);
                }
                let keys = self.next_keys(space, &range)?;
                let Some(last) = keys.last().cloned() else { break };
                let mut batch = WriteBatch::with_capacity(keys.len(), keys.len() * 64);
                for key in &keys {
                    batch.delete(space, key);
                }
                self.commit(batch)?;
                // What is before it is known to be gone: some stores would walk over its remains again.
                range.start = std::ops::Bound::Excluded(last);
            }
        }
        let mut batch = WriteBatch::new();
        batch.delete(space, &key(Part::Discarded, contents));
        self.commit(batch)?;
        Ok(true)
    }

    fn next_keys(&self, space: Space, range: &KeyRange) -> Result<Vec<Bytes>> {
        let entries = self.store.range(space, range.clone(), Direction::Forward);
        entries.take(STEP).map(|entry| entry.map(|(key, _)| key)).collect()
    }

    fn commit(&self, mut batch: WriteBatch) -> Result<()> {
        // It frees space, so a nearly full disk must not hinder it.
        batch.use_reserve();
        self.committer.commit(batch).wait()
    }
}
