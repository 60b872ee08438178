//! A data folder made of a backup.

use std::io::Read;
use std::path::Path;

use super::file::{BackupReader, BackupSummary};
use crate::base::Base;
use crate::journal::open_base;
use crate::{ClusterId, DataFolder, Op, Result, StoreKind, WriteBatch};

/// Bytes that the store is given at once.
const BATCH_BYTES: usize = 128 << 10;

/// Bytes after which the store is opened anew: sled has in memory what was written, whatever the size of its cache.
const REOPEN_BYTES: usize = 128 << 20;

/// Makes a data folder of a backup, with a store of any kind, and `last` on top of what it holds.
///
/// The folder must be empty, or missing, or hold what is left of a restore that was cut short. Until everything was read,
/// found sound and brought to disk it is no data folder: no server opens it, whatever happens meanwhile. When the backup
/// turns out to be damaged, nothing of it stays.
pub fn restore<R: Read>(
    backup: &mut BackupReader<R>,
    folder: &Path,
    kind: StoreKind,
    cluster_id: ClusterId,
    last: &WriteBatch,
) -> Result<BackupSummary> {
    let boot_epoch = backup.header().boot_epoch;
    DataFolder::make(folder, kind, cluster_id, boot_epoch, |path| {
        let base = fill(path, kind, backup, REOPEN_BYTES)?;
        base.commit(std::slice::from_ref(last))?;
        base.sync()?;
        base.close()
    })?;
    Ok(backup.summary())
}

fn fill<R: Read>(
    path: &Path,
    kind: StoreKind,
    backup: &mut BackupReader<R>,
    reopen_bytes: usize,
) -> Result<Box<dyn Base>> {
    let mut base = open_base(path, kind)?;
    let mut batch = WriteBatch::new();
    let mut written = 0;
    while let Some(record) = backup.next_record()? {
        for op in record.ops() {
            match op? {
                Op::Put { space, key, value, .. } => batch.put(space, key, value.to_bytes()),
                Op::Delete { space, key } => batch.delete(space, key),
                Op::DeleteRange { space, start, end } => batch.delete_range(space, start, end),
            }
            // Nobody reads meanwhile, so a group may be written in parts.
            if batch.size() >= BATCH_BYTES {
                written += batch.size();
                base.commit(&[std::mem::take(&mut batch)])?;
            }
            if written >= reopen_bytes {
                written = 0;
                base.sync()?;
                base.close()?;
                drop(base);
                base = open_base(path, kind)?;
            }
        }
    }
    base.commit(&[batch])?;
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Durability, JournalOptions, JournaledStore, KeyRange, Space, Store};

    #[test]
    fn a_store_that_is_opened_anew_on_the_way_has_everything() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            JournaledStore::fjall(folder.path(), Durability::Process, JournalOptions::default()).unwrap();
        for number in 0..20_u8 {
            let mut batch = WriteBatch::new();
            batch.put(Space::Lists, &[number], vec![number; 50_000].into());
            store.commit(&[batch]).unwrap();
        }
        let bytes: Vec<u8> = store.backup(ClusterId(1), 1, 0).unwrap().flat_map(Result::unwrap).collect();
        store.close().unwrap();
        for kind in [StoreKind::Sled, StoreKind::Fjall] {
            let folder = tempfile::tempdir().unwrap();
            let mut backup = BackupReader::open(&bytes[..]).unwrap();
            let base = fill(folder.path(), kind, &mut backup, 200_000).unwrap();
            let entries = base.range(Space::Lists, KeyRange::ALL, Direction::Forward).map(Result::unwrap);
            let found: Vec<_> = entries.map(|(key, value)| (key[0], value[0], value.len())).collect();
            assert_eq!(found, (0..20).map(|number| (number, number, 50_000)).collect::<Vec<_>>());
        }
    }
}
