//! A data folder made of a backup.

use std::io::Read;
use std::path::Path;

use super::file::{BackupReader, BackupSummary};
use crate::base::Base;
use crate::journal::open_base;
use crate::{ClusterId, DataFolder, Op, Result, StoreKind, WriteBatch};

/// Bytes that the store is given at once.
const BATCH_BYTES: usize = 128 << 10;

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
        let base = open_base(path, kind)?;
        fill(&*base, backup)?;
        base.commit(std::slice::from_ref(last))?;
        base.sync()?;
        base.close()
    })?;
    Ok(backup.summary())
}

fn fill<R: Read>(base: &dyn Base, backup: &mut BackupReader<R>) -> Result<()> {
    let mut batch = WriteBatch::new();
    while let Some(record) = backup.next_record()? {
        for op in record.ops() {
            match op? {
                Op::Put { space, key, value, .. } => batch.put(space, key, value.to_bytes()),
                Op::Delete { space, key } => batch.delete(space, key),
                Op::DeleteRange { space, start, end } => batch.delete_range(space, start, end),
            }
            // Nobody reads meanwhile, so a group may be written in parts.
            if batch.size() >= BATCH_BYTES {
                base.commit(&[std::mem::take(&mut batch)])?;
            }
        }
    }
    base.commit(&[batch])
}
