//! The store on sled 0.34: a page tree over a log of segments.
//!
//! What sled leaves to its user is done here:
//!
//! * All spaces share one tree, each key led by the number of its space, and a commit is one batch of that tree: the
//!   unit that sled recovers whole or not at all.
//! * On Linux sled's `flush` writes and calls `sync_file_range`, which reaches neither the file's metadata nor the
//!   cache of the disk. With durability `sync` a commit ends with an `fdatasync` of sled's file.
//! * sled writes a page that outgrows a quarter of a segment to a file of its own (a "blob"), which it never flushes.
//!   Large values are therefore cut into chunks, and segments made large, so that no page gets there.
//! * sled's `conf`, without which it does not open, is flushed when the store is opened.
//! * `flush_async` can deadlock; it is not used.
//! * What sled replaces stays in memory until somebody comes to free it, and what it has to write waits there in buffers of
//!   a segment each. A commit frees what it left, and flushes what has come together.

mod chunks;
mod garbage;
mod keys;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ::sled::{Batch, Db, IVec, Mode};
use bytes::Bytes;

use self::chunks::Chunks;
use crate::base::Base;
use crate::disk::sync_folder;
use crate::{
    Direction, Durability, Entries, Error, ErrorKind, KeyRange, Op, Result, Space, Store, StoreKind,
    WriteBatch,
};

/// The size of a segment. A page holds up to 16 entries and becomes a blob at a quarter of this: 16 chunks with their
/// keys, or the 256 longest keys of an inner page that share no prefix, stay below it.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// Memory that sled may use for pages.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes of keys and values that may wait for sled's threads to write them. With the pages that it writes because of them,
/// that is a few segments; without a bound, a slow disk would let all of a checkpoint wait.
const UNWRITTEN_BYTES: usize = 4 * 1024 * 1024;

/// How often sled's own thread rewrites sparse segments, for up to half of that time. It also flushes and calls `fsync`,
/// which here only repeats what a checkpoint did; twice a second, as sled does unless told otherwise, that was nearly all
/// of what an idle server cost.
const HOUSEKEEPING_MS: u64 = 5_000;

/// An ordered store on sled.
pub struct SledStore {
    db: Db,
    /// Which spaces hold values in chunks.
    chunks: Chunks,
    /// sled's data file, opened once more: flushing any descriptor of a file flushes the file.
    file: File,
    durability: Durability,
    /// Bytes that were committed since the last flush.
    unwritten: AtomicUsize,
    closed: AtomicBool,
}

/// What a group changes, by sled's keys; the last change of a key counts.
type Changes = BTreeMap<Vec<u8>, Option<IVec>>;

impl SledStore {
    /// Opens the store in `path`, or makes one there.
    pub fn open(path: &Path, durability: Durability) -> Result<Self> {
        let what = || format!("opening the sled store in {}", path.display());
        wait_for_lock(path).map_err(|error| Error::io(what(), &error))?;
        let db = ::sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .mode(Mode::HighThroughput)
            .flush_every_ms(Some(HOUSEKEEPING_MS))
            .open()
            .map_err(|error| sled_error(what(), &error))?;
        let chunks = Chunks::find(&db)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("db"))
            .map_err(|error| Error::io(what(), &error))?;
        let store = Self {
            db,
            chunks,
            file,
            durability,
            unwritten: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        sync_files(path)?;
        Ok(store)
    }

    fn flush(&self, what: &str) -> Result<()> {
        self.unwritten.store(0, Ordering::Relaxed);
        self.db.flush().map_err(|error| sled_error(what, &error))?;
        Ok(())
    }

    fn collect(&self, group: &[WriteBatch]) -> Result<Changes> {
        let mut changes = Changes::new();
        for op in group.iter().flat_map(WriteBatch::iter) {
            match op {
                Op::Put { space, key, value, .. } => {
                    self.chunks.remove(&self.db, &mut changes, space, key)?;
                    self.chunks.put(&mut changes, space, key, value.as_slice());
                }
                Op::Delete { space, key } => {
                    self.chunks.remove(&self.db, &mut changes, space, key)?;
                    let full = keys::value(space, key);
                    // To look is far cheaper than to write a deletion of nothing, which is what a journal mostly brings.
                    let present = self.db.contains_key(&full);
                    if present.map_err(|error| sled_error("reading from the sled store", &error))? {
                        changes.insert(full, None);
                    } else {
                        changes.remove(&full);
                    }
                }
                Op::DeleteRange { space, start, end } if start < end => {
                    let (first, last) = (keys::value(space, start), keys::value(space, end));
                    let mut doomed: Vec<Vec<u8>> =
                        changes.range(first.clone()..last.clone()).map(|(key, _)| key.clone()).collect();
                    for key in self.db.range(first..last).keys() {
                        doomed.push(key.map_err(|error| sled_error("deleting a range", &error))?.to_vec());
                    }
                    for key in doomed {
                        self.chunks.remove(&self.db, &mut changes, space, keys::without_space(&key))?;
                        changes.insert(key, None);
                    }
                }
                Op::DeleteRange { .. } => {}
            }
        }
        Ok(changes)
    }
}

impl Store for SledStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        }
        group.iter().try_for_each(WriteBatch::check)?;
        let mut batch = Batch::default();
        for (key, value) in self.collect(group)? {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let what = "committing to the sled store";
        self.db.apply_batch(batch).map_err(|error| sled_error(what, &error))?;
        let bytes: usize = group.iter().map(WriteBatch::size).sum();
        let unwritten = self.unwritten.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.durability >= Durability::Process || unwritten >= UNWRITTEN_BYTES {
            self.flush(what)?;
        }
        garbage::free();
        if self.durability == Durability::Sync {
            self.file.sync_data().map_err(|error| Error::io("flushing the sled store to disk", &error))?;
        }
        Ok(())
    }

    fn may_wait(&self) -> bool {
        // sled's flush waits for the disk even where only the end of the process is to be survived.
        self.durability >= Durability::Process
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.db.get(keys::value(space, key));
        match value.map_err(|error| sled_error("reading from the sled store", &error))? {
            Some(stored) => chunks::read(&self.db, space, key, &stored),
            None => Ok(None),
        }
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let entries = self.db.range(keys::range(space, &range));
        let db = self.db.clone();
        let read = move |entry: ::sled::Result<(IVec, IVec)>| {
            let (key, stored) = entry.map_err(|error| sled_error("reading from the sled store", &error))?;
            let key = Bytes::copy_from_slice(keys::without_space(&key));
            let value = chunks::read(&db, space, &key, &stored)?;
            Ok(value.map(|value| (key, value)))
        };
        match direction {
            Direction::Forward => Box::new(entries.filter_map(move |entry| read(entry).transpose())),
            Direction::Reverse => Box::new(entries.rev().filter_map(move |entry| read(entry).transpose())),
        }
    }

    fn disk_usage(&self) -> Result<u64> {
        self.db.size_on_disk().map_err(|error| sled_error("measuring the sled store", &error))
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.flush("closing the sled store")?;
        self.file.sync_all().map_err(|error| Error::io("closing the sled store", &error))
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Sled
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}

impl Base for SledStore {
    fn sync(&self) -> Result<()> {
        self.flush("flushing the sled store")?;
        // The buffers that have just been written.
        garbage::free();
        self.file.sync_all().map_err(|error| Error::io("flushing the sled store to disk", &error))
    }

    fn keys(&self, space: Space, start: &[u8], end: &[u8]) -> Box<dyn Iterator<Item = Result<Bytes>> + Send> {
        let keys = self.db.range(keys::value(space, start)..keys::value(space, end)).keys();
        Box::new(keys.map(|key| match key {
            Ok(key) => Ok(Bytes::copy_from_slice(keys::without_space(&key))),
            Err(error) => Err(sled_error("reading from the sled store", &error)),
        }))
    }
}

/// Waits until nobody has sled's data file locked.
///
/// Threads of a store that this process has just closed may hold it a moment longer, and sled itself does not wait.
/// Another process cannot hold it: it would hold the data folder.
fn wait_for_lock(path: &Path) -> io::Result<()> {
    match File::open(path.join("db")) {
        // The lock goes with the descriptor.
        Ok(file) => file.lock(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the files and their names durable: sled never flushes its `conf`, without which it does not open, nor the
/// folders that list its files.
fn sync_files(path: &Path) -> Result<()> {
    let failed = |error| Error::io(format!("flushing the sled store in {}", path.display()), &error);
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            OpenOptions::new().write(true).open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    sync_folder(path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sled_error(what: impl std::fmt::Display, error: &::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(error) => Error::io(what, error),
        ::sled::Error::Unsupported(why) => Error::new(ErrorKind::Incompatible, format!("{what}: {why}")),
        error => Error::new(ErrorKind::Corrupt, format!("{what}: {error}")),
    }
}
