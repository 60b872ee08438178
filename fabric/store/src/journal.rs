//! A store behind a journal.
//!
//! Neither sled nor fjall alone does what the Fabric needs: with sled each group of changes waits for the disk even
//! when only the end of the process is to be survived, and every change is written several times; both spend more
//! on a value that lives for a second than on one that stays. So, whatever the store:
//!
//! 1. A commit appends one checksummed record to a *journal* file, and flushes it where power may fail. That is all that
//!    an acknowledgement waits for.
//! 2. Its changes go to a *layer* in memory, over the store. Reads look there first.
//! 3. When the journal file is large enough, the layer is frozen, a new file and a new layer begin, and a thread writes
//!    the frozen one to the store, flushes that, and deletes the file (a *checkpoint*). What was made and deleted
//!    within one layer never gets that far, nor what has changed again by then.
//! 4. A start reads the files that are left into a frozen layer. To write it once more does no harm, wherever the last
//!    checkpoint was cut short. That waits for the first commit, so that whoever starts can read undisturbed.
//!
//! So the promises are kept by the journal, in the same way for every store, and hold as long as what the store was asked
//! to flush is on the disk. The journal is also what makes a [backup](crate::backup) of one moment possible.

mod checkpoint;
mod files;
mod layer;
mod merge;
mod record;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;

pub(crate) use self::checkpoint::Checkpoints;
use self::files::{JournalFile, Replay};
use self::layer::Layer;
pub(crate) use self::record::{HEADER_BYTES, Record, encode as encode_record, header as record_header};
use crate::backup::Changes;
use crate::base::Base;
use crate::{
    Backup, ClusterId, Direction, Durability, Entries, Error, ErrorKind, FjallStore, KeyRange, Op, Result,
    SledStore, Space, Store, StoreKind, WriteBatch,
};

/// Sizes of the journal.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// A file of this size ends its layer, once the checkpoint before is done. It bounds the memory of a layer and the
    /// time of a start.
    pub rotate_bytes: u64,
    /// At this size commits wait for the checkpoint before.
    pub stall_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { rotate_bytes: 16 << 20, stall_bytes: 32 << 20 }
    }
}

/// An ordered store on a slower one.
pub struct JournaledStore {
    checkpoints: Arc<Checkpoints>,
    // Shared with a backup, which only ever holds it for a moment.
    writer: Arc<Mutex<Writer>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    durability: Durability,
    options: JournalOptions,
    /// The next commit ends the layer, which flushes files and may wait for a checkpoint.
    rotates_next: AtomicBool,
    /// Something has been committed since the start.
    begun: Once,
}

/// What a commit needs to itself.
pub(crate) struct Writer {
    file: JournalFile,
    /// Where a record is put together; kept for its room.
    record: Vec<u8>,
    /// Where groups are noted while a backup is taken.
    pub(crate) changes: Option<Changes>,
    /// The backup that is being taken. It outlives the notes above, which it reads back at its end.
    pub(crate) backup: Weak<()>,
    closed: bool,
}

impl Writer {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        }
        Ok(())
    }
}

/// Opens the store that is kept in `folder`, beside its journal.
pub(crate) fn open_base(folder: &Path, kind: StoreKind) -> Result<Box<dyn Base>> {
    let path = folder.join(kind.name());
    Ok(match kind {
        StoreKind::Sled => Box::new(SledStore::open(&path, Durability::Memory)?),
        StoreKind::Fjall => Box::new(FjallStore::open(&path, Durability::Memory)?),
        StoreKind::Memory => {
            return Err(Error::new(ErrorKind::Incompatible, "the memory store has no folder"));
        }
    })
}

impl JournaledStore {
    /// Opens the store in `folder`: a sled store, its journal beside it.
    pub fn sled(folder: &Path, durability: Durability, options: JournalOptions) -> Result<Self> {
        Self::open(&folder.join("journal"), open_base(folder, StoreKind::Sled)?, durability, options)
    }

    /// Opens the store in `folder`: a fjall store, its journal beside it.
    pub fn fjall(folder: &Path, durability: Durability, options: JournalOptions) -> Result<Self> {
        Self::open(&folder.join("journal"), open_base(folder, StoreKind::Fjall)?, durability, options)
    }

    /// Opens the journal in `folder` over a store, which nobody else writes to.
    pub(crate) fn open(
        folder: &Path,
        base: Box<dyn Base>,
        durability: Durability,
        options: JournalOptions,
    ) -> Result<Self> {
        let start = Instant::now();
        let Replay { records, files, next_generation } = files::replay(folder)?;
        Changes::clear(folder);
        let layer = Layer::default();
        let checkpoints = Checkpoints::new(folder, base);
        let mut replayed = 0_u64;
        for record in records {
            let record = record?;
            replayed += 1;
            for op in record.ops() {
                // What is new here may be in the store already, from a checkpoint that was cut short.
                let op = match op? {
                    Op::Put { space, key, value, .. } => Op::Put { space, key, value, new: false },
                    op => op,
                };
                checkpoints.apply_over_base(&layer, op)?;
            }
        }
        if replayed > 0 {
            tracing::info!(records = replayed, files = files.len(), elapsed = ?start.elapsed(), "read the journal");
        }
        let file = JournalFile::create(folder, next_generation, durability == Durability::Sync)?;
        checkpoints.resume(layer, files, &file)?;
        let thread = thread::Builder::new()
            .name("perper-checkpoint".to_owned())
            .spawn({
                let checkpoints = Arc::clone(&checkpoints);
                move || checkpoints.run()
            })
            .map_err(|error| Error::io("starting the thread that writes checkpoints", &error))?;
        Ok(Self {
            checkpoints,
            writer: Arc::new(Mutex::new(Writer {
                file,
                record: Vec::new(),
                changes: None,
                backup: Weak::new(),
                closed: false,
            })),
            thread: Mutex::new(Some(thread)),
            durability,
            options,
            rotates_next: AtomicBool::new(false),
            begun: Once::new(),
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the layer if it is time for that.
    fn rotate_if_due(&self, writer: &mut Writer) -> Result<()> {
        let size = writer.file.size();
        if size < self.options.rotate_bytes {
            return Ok(());
        }
        if size < self.options.stall_bytes {
            if !self.checkpoints.is_idle() {
                return Ok(());
            }
        } else {
            self.checkpoints.wait_until_idle()?;
        }
        self.rotate(writer)
    }

    /// Brings a group, which is in the writer's record, to the journal and to the layer above.
    fn write(&self, writer: &mut Writer, group: &[WriteBatch]) -> Result<()> {
        writer.file.append(&writer.record)?;
        if self.durability == Durability::Sync {
            writer.file.sync()?;
        }
        self.checkpoints.apply_group(group)
    }

    fn rotate(&self, writer: &mut Writer) -> Result<()> {
        let flushed = self.durability == Durability::Sync;
        let next = JournalFile::create(self.checkpoints.folder(), writer.file.generation() + 1, flushed)?;
        let former = std::mem::replace(&mut writer.file, next);
        self.checkpoints.freeze(former, writer.file.handle()?);
        Ok(())
    }

    fn stop(&self) {
        self.checkpoints.stop();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes checkpoints panicked");
        }
    }
}

impl Store for JournaledStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        group.iter().try_for_each(WriteBatch::check)?;
        let mut writer = self.writer();
        let writer = &mut *writer;
        writer.check_open()?;
        self.checkpoints.check()?;
        self.begun.call_once(|| self.checkpoints.begin());
        self.rotate_if_due(writer)?;
        record::encode(&mut writer.record, writer.file.generation(), group);
        if writer.record.is_empty() {
            return Ok(());
        }
        let written = self.write(writer, group);
        if let Some(changes) = &mut writer.changes {
            match &written {
                Ok(()) => changes.note(writer.file.generation(), &writer.record),
                // What of it can be read is unknown.
                Err(error) => changes.fail(error.clone()),
            }
        }
        record::shrink(&mut writer.record);
        self.rotates_next.store(writer.file.size() >= self.options.rotate_bytes, Ordering::Relaxed);
        written
    }

    fn may_wait(&self) -> bool {
        self.durability == Durability::Sync || self.rotates_next.load(Ordering::Relaxed)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let layers = self.checkpoints.layers();
        for layer in layers.iter() {
            if let Some(value) = layer.get(space, key) {
                return Ok(value);
            }
        }
        self.checkpoints.base().get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.checkpoints.range(space, range, direction)
    }

    fn backup(&self, cluster_id: ClusterId, boot_epoch: u64, spare: u64) -> Result<Backup> {
        Backup::begin(&self.checkpoints, &self.writer, cluster_id, boot_epoch, spare)
    }

    fn disk_usage(&self) -> Result<u64> {
        let active = self.writer().file.size();
        Ok(self.checkpoints.base().disk_usage()? + active + self.checkpoints.frozen_bytes())
    }

    fn close(&self) -> Result<()> {
        let mut writer = self.writer();
        if writer.closed {
            return Ok(());
        }
        writer.closed = true;
        self.checkpoints.begin();
        self.checkpoints.wait_until_idle()?;
        self.rotate(&mut writer)?;
        self.checkpoints.wait_until_idle()?;
        self.stop();
        writer.file.remove()?;
        self.checkpoints.base().close()
    }

    fn kind(&self) -> StoreKind {
        self.checkpoints.base().kind()
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}

impl Drop for JournaledStore {
    fn drop(&mut self) {
        // Without `close` this is as good as a crash: the journal has what the store has not.
        self.stop();
    }
}
