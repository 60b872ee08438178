//! The narrow ordered store under the Fabric's embedded engine.
//!
//! The engine keeps its objects in memory and writes every change of theirs through this crate:
//!
//! * [`Store`] is what an ordered store has to offer: an atomic commit across key spaces, point reads, ranges.
//!   [`MemoryStore`], [`SledStore`] and [`FjallStore`] offer it, and one contract suite holds them to it.
//! * [`WriteBatch`] is what one change of the engine writes.
//! * [`Committer`] turns many concurrent changes into few commits, in order, and tells each how it went.
//! * [`DataFolder`] is the folder that a server owns: locked, versioned, counting its boots.
//! * [`Backup`] is a copy of everything at one moment, taken while the store is written to; [`restore`] puts it back.
//! * [`HeadRoom`] watches the free space of the disk, so that a full one is met with refusals and not with errors.

mod backup;
mod base;
mod batch;
mod committer;
mod disk;
mod error;
mod fjall;
mod folder;
mod headroom;
mod journal;
mod memory;
mod range;
mod sled;
mod space;
mod store;

pub use backup::{BACKUP_VERSION, Backup, BackupHeader, BackupReader, BackupSummary, restore};
pub use batch::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Value, WriteBatch};
pub use committer::{Commit, Committer, CommitterOptions, CommitterStats};
pub use disk::sync_folder;
pub use error::{Error, ErrorKind, Result};
pub use fjall::FjallStore;
pub use folder::{ClusterId, DataFolder, FORMAT_VERSION};
pub use headroom::HeadRoom;
pub use journal::{JournalOptions, JournaledStore};
pub use memory::MemoryStore;
pub use range::{Direction, Entries, Entry, KeyRange};
pub use sled::SledStore;
pub use space::Space;
pub use store::{Durability, Store, StoreKind};
