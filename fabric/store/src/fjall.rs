//! The store on fjall: a log-structured merge tree with a journal in front.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ::fjall::config::CompressionPolicy;
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use bytes::Bytes;

use crate::base::Base;
use crate::{
    Direction, Durability, Entries, Error, ErrorKind, KeyRange, Op, Result, Space, Store, StoreKind,
    WriteBatch,
};

/// Disk that the journals may take before fjall writes out what holds them back. It bounds the time of a start,
/// which reads them.
const MAX_JOURNALS_BYTES: u64 = 256 * 1024 * 1024;

/// Values from this size are kept apart from their keys, so that they are not copied by every compaction.
const SEPARATE_FROM_BYTES: u32 = 4 * 1024;

/// An ordered store on fjall, with a keyspace per [`Space`].
pub struct FjallStore {
    database: Database,
    keyspaces: Vec<Keyspace>,
    durability: Durability,
    closed: AtomicBool,
}

impl FjallStore {
    /// Opens the store in `path`, or makes one there.
    pub fn open(path: &Path, durability: Durability) -> Result<Self> {
        let what = || format!("opening the fjall store in {}", path.display());
        let database = Database::builder(path)
            .max_journaling_size(MAX_JOURNALS_BYTES)
            // A commit says itself how far it must get.
            .manual_journal_persist(true)
            .worker_threads(1)
            .open()
            .map_err(|error| fjall_error(what(), &error))?;
        let keyspaces = Space::ALL
            .into_iter()
            .map(|space| database.keyspace(space.name(), options))
            .collect::<::fjall::Result<Vec<_>>>()
            .map_err(|error| fjall_error(what(), &error))?;
        Ok(Self { database, keyspaces, durability, closed: AtomicBool::new(false) })
    }

    fn keyspace(&self, space: Space) -> &Keyspace {
        &self.keyspaces[space.index()]
    }
}

fn options() -> KeyspaceCreateOptions {
    // Values of the Fabric are small or compressed by their makers; the time of its one busy thread is dearer than disk.
    KeyspaceCreateOptions::default()
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(SEPARATE_FROM_BYTES)))
        .manual_journal_persist(true)
}

impl Store for FjallStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        }
        group.iter().try_for_each(WriteBatch::check)?;
        let mode = match self.durability {
            Durability::Memory => None,
            Durability::Process => Some(PersistMode::Buffer),
            Durability::Sync => Some(PersistMode::SyncData),
        };
        let ops = group.iter().map(WriteBatch::len).sum();
        let mut batch = ::fjall::OwnedWriteBatch::with_capacity(self.database.clone(), ops).durability(mode);
        // Keys that the group itself puts, in case it also deletes a range: that must not miss them.
        let ranged = group.iter().flat_map(WriteBatch::iter).any(|op| matches!(op, Op::DeleteRange { .. }));
        let mut put: Vec<(Space, &[u8])> = Vec::new();
        for op in group.iter().flat_map(WriteBatch::iter) {
            match op {
                Op::Put { space, key, value, .. } => {
                    if ranged {
                        put.push((space, key));
                    }
                    batch.insert(self.keyspace(space), key, value.to_bytes());
                }
                Op::Delete { space, key } => batch.remove(self.keyspace(space), key),
                Op::DeleteRange { space, start, end } => {
                    for guard in self.keyspace(space).range(start..end) {
                        let key = guard.key().map_err(|error| fjall_error("deleting a range", &error))?;
                        batch.remove(self.keyspace(space), key);
                    }
                    for &(_, key) in put.iter().filter(|(at, key)| *at == space && (start..end).contains(key))
                    {
                        batch.remove(self.keyspace(space), key);
                    }
                }
            }
        }
        batch.commit().map_err(|error| fjall_error("committing to the fjall store", &error))
    }

    fn may_wait(&self) -> bool {
        self.durability == Durability::Sync
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.keyspace(space).get(key);
        Ok(value.map_err(|error| fjall_error("reading from the fjall store", &error))?.map(Bytes::from))
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let entries = self.keyspace(space).range::<&[u8], _>(range.as_slices());
        let read = |guard: ::fjall::Guard| match guard.into_inner() {
            Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
            Err(error) => Err(fjall_error("reading from the fjall store", &error)),
        };
        match direction {
            Direction::Forward => Box::new(entries.map(read)),
            Direction::Reverse => Box::new(entries.rev().map(read)),
        }
    }

    fn disk_usage(&self) -> Result<u64> {
        self.database.disk_space().map_err(|error| fjall_error("measuring the fjall store", &error))
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(|error| fjall_error("closing the fjall store", &error))
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Fjall
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}

impl Base for FjallStore {
    fn sync(&self) -> Result<()> {
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(|error| fjall_error("flushing the fjall store", &error))
    }

    fn keys(&self, space: Space, start: &[u8], end: &[u8]) -> Box<dyn Iterator<Item = Result<Bytes>> + Send> {
        let keys = self.keyspace(space).range(start..end);
        Box::new(keys.map(|guard| match guard.key() {
            Ok(key) => Ok(Bytes::from(key)),
            Err(error) => Err(fjall_error("reading from the fjall store", &error)),
        }))
    }
}

fn fjall_error(what: impl std::fmt::Display, error: &::fjall::Error) -> Error {
    use ::fjall::Error as Fjall;
    match error {
        Fjall::Io(error) => Error::io(what, error),
        Fjall::Locked => Error::new(ErrorKind::Locked, format!("{what}: another process holds it")),
        Fjall::Poisoned => Error::new(ErrorKind::Poisoned, format!("{what}: an earlier write failed")),
        Fjall::InvalidVersion(version) => Error::new(
            ErrorKind::Incompatible,
            format!("{what}: written by another version of fjall ({version:?})"),
        ),
        error => Error::new(ErrorKind::Corrupt, format!("{what}: {error}")),
    }
}
