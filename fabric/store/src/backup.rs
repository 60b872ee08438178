//! A copy of a store at one moment, taken while it is written to, and put back elsewhere.
//!
//! A store gives no snapshot: what is read while others write is no state that ever was. So a backup has two parts, and
//! holds nobody up while they are made:
//!
//! 1. every entry, read in steps while the store goes on being written to;
//! 2. every group that was committed meanwhile, in order, which the journal notes in a file beside its own.
//!
//! The second over the first is the state between two commits, the last of those noted and the next: an entry that
//! nobody wrote meanwhile was read as it is, and of every other the last group that wrote it has the last word, whatever
//! was read of it. Everything that was acknowledged before the backup began is there, and no group is there in part.
//!
//! What is written holds keys and values and nothing of the store that they come from, so it can be put back into another
//! kind of store.

mod changes;
mod file;
mod restore;
mod take;

pub(crate) use self::changes::Changes;
pub use self::file::{BACKUP_VERSION, BackupHeader, BackupReader, BackupSummary};
pub use self::restore::restore;
pub use self::take::Backup;
