//! What dictionaries and lists have in common: named objects with an owner, whose contents lie in the store and not in
//! memory.
//!
//! * [`Catalogue`]: ids, owners and counts, in memory; created, attached to, destroyed.
//! * [`Overlay`]: contents as they are once everything queued is written, so that a read sees what came before it.
//! * [`Sweeper`]: removes contents that were cleared or destroyed, a little at a time.

mod catalogue;
mod overlay;
mod page;
mod record;
mod recovery;
mod sweeper;
#[cfg(test)]
pub(super) mod testing;
mod tombstones;

pub(super) use self::catalogue::{Catalogue, Contents, Description, Kind, State, Unpublished};
pub(super) use self::overlay::Overlay;
pub(super) use self::page::Page;
pub(super) use self::record::{ContentsRecord, chunk_key, entry_key};
pub(super) use self::recovery::corrupt;
pub(super) use self::sweeper::{Sweeper, Sweeps, queue};

use perper_proto::{Reason, v1};

/// What a request gets when the storage cannot be read.
pub(super) fn unreadable(error: &perper_store::Error) -> v1::Error {
    Reason::StorageFailed
        .error(format!("the storage could not be read ({error}): see the server's log and disk"))
}
