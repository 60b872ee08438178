//! What an ordered store has to offer.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::{Backup, ClusterId, Direction, Entries, Error, ErrorKind, KeyRange, Result, Space, WriteBatch};

/// Which failure an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// None: it is gone when the server is.
    Memory,
    /// The end of the server process, `kill -9` among them: the write is with the operating system.
    Process,
    /// Loss of power: the write is on the disk, one flush for all that waited.
    Sync,
}

/// The implementations of [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// [`MemoryStore`](crate::MemoryStore).
    Memory,
    /// [`SledStore`](crate::SledStore).
    Sled,
    /// [`FjallStore`](crate::FjallStore).
    Fjall,
}

impl StoreKind {
    /// The name, as it is written in flags and in the data folder.
    pub const fn name(self) -> &'static str {
        match self {
            StoreKind::Memory => "memory",
            StoreKind::Sled => "sled",
            StoreKind::Fjall => "fjall",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StoreKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [StoreKind::Memory, StoreKind::Sled, StoreKind::Fjall]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| {
                let message = format!("there is no store called {name:?}; there are memory, sled and fjall");
                Error::new(ErrorKind::Incompatible, message)
            })
    }
}

/// An ordered store of bytes by key, in several key spaces.
///
/// Reads may come from any thread. Commits come from one thread at a time, normally that of a
/// [`Committer`](crate::Committer).
pub trait Store: Send + Sync + 'static {
    /// Writes a group of batches, in order.
    ///
    /// When it returns `Ok`, all of it is as durable as the store was opened for. When the process or the power fails
    /// in the middle, each batch is there whole or not at all, and none is there without those before it. After an
    /// error the state on disk is unknown until the store is opened again, and no further commit is attempted; only
    /// [`ErrorKind::InvalidBatch`] says that nothing happened.
    fn commit(&self, group: &[WriteBatch]) -> Result<()>;

    /// Whether a commit may wait for the disk right now, and so should come from a thread that may wait.
    fn may_wait(&self) -> bool;

    /// The value at `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>>;

    /// The entries of a range.
    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries;

    /// Begins a [backup](Backup), which says whose data it is, and gives way to writers when less than `spare` bytes of the
    /// disk are free. Refused where nothing is on disk, and while another one is being taken.
    fn backup(&self, cluster_id: ClusterId, boot_epoch: u64, spare: u64) -> Result<Backup> {
        let _ = (cluster_id, boot_epoch, spare);
        let message = format!(
            "the {} store has no journal, of which a backup is made; give the server --data",
            self.kind()
        );
        Err(Error::new(ErrorKind::Incompatible, message))
    }

    /// The bytes that it occupies on disk, approximately; of memory where there is no disk.
    fn disk_usage(&self) -> Result<u64>;

    /// Brings everything to disk and stops what runs in the background. Further commits are refused.
    fn close(&self) -> Result<()>;

    /// Which implementation it is.
    fn kind(&self) -> StoreKind;

    /// What a commit survives.
    fn durability(&self) -> Durability;
}
