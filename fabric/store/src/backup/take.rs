//! The making of a backup.

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::changes::{Changes, NotedChanges};
use super::file::{BackupHeader, Numbering};
use crate::journal::{Checkpoints, Writer, encode_record};
use crate::{ClusterId, Direction, Error, ErrorKind, KeyRange, Result, Space, WriteBatch};

/// Bytes of entries in one record, unless a single one is larger.
const RECORD_BYTES: usize = 256 << 10;

/// A backup that is being taken: the bytes of its file, made as they are asked for.
///
/// It holds nobody up, whatever time is taken between two steps; until it is dropped, or through, the journal notes what
/// is committed. Each step reads from the disk. After an error nothing follows, and what was made so far is worthless.
pub struct Backup {
    checkpoints: Arc<Checkpoints>,
    writer: Arc<Mutex<Writer>>,
    header: BackupHeader,
    numbering: Numbering,
    stage: Stage,
    /// Says, as long as it is there, that a backup is being taken.
    _alive: Arc<()>,
}

enum Stage {
    Header,
    /// Entries of a space, below a key.
    Entries(usize, Option<Bytes>),
    Changes(NotedChanges),
    Over,
}

impl Backup {
    /// Begins a backup of what is behind a journal.
    pub(crate) fn begin(
        checkpoints: &Arc<Checkpoints>,
        writer: &Arc<Mutex<Writer>>,
        cluster_id: ClusterId,
        boot_epoch: u64,
        spare: u64,
    ) -> Result<Self> {
        let mut locked = lock(writer);
        locked.check_open()?;
        if locked.backup.strong_count() > 0 {
            let message = "a backup of this data is being taken already; wait until that is done";
            return Err(Error::new(ErrorKind::Busy, message));
        }
        // From here on, within the lock of the writer: all that was committed before can be read.
        locked.changes = Some(Changes::begin(checkpoints.folder(), spare)?);
        let alive = Arc::new(());
        locked.backup = Arc::downgrade(&alive);
        drop(locked);
        Ok(Self {
            header: BackupHeader::now(checkpoints.base().kind(), cluster_id, boot_epoch),
            checkpoints: Arc::clone(checkpoints),
            writer: Arc::clone(writer),
            numbering: Numbering::new(0),
            stage: Stage::Header,
            _alive: alive,
        })
    }

    /// What it says about itself.
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    fn step(&mut self) -> Result<Option<Bytes>> {
        if let Stage::Entries(..) = self.stage {
            self.check()?;
        }
        loop {
            match &mut self.stage {
                Stage::Header => {
                    let (bytes, checksum) = self.header.encode();
                    self.numbering = Numbering::new(checksum);
                    self.stage = Stage::Entries(0, None);
                    return Ok(Some(bytes.into()));
                }
                Stage::Entries(index, below) => {
                    let Some(&space) = Space::ALL.get(*index) else {
                        self.stage = Stage::Changes(self.end_changes()?);
                        continue;
                    };
                    let batch = read_entries(&self.checkpoints, space, below)?;
                    if batch.is_empty() {
                        self.stage = Stage::Entries(*index + 1, None);
                        continue;
                    }
                    let mut record = Vec::new();
                    encode_record(&mut record, self.numbering.next(), &[batch]);
                    return Ok(Some(record.into()));
                }
                Stage::Changes(changes) => {
                    let Some(record) = changes.next_record()? else {
                        self.stage = Stage::Over;
                        return Ok(Some(self.numbering.end().into()));
                    };
                    return Ok(Some(record.renumbered(self.numbering.next()).into()));
                }
                Stage::Over => return Ok(None),
            }
        }
    }

    /// Whether it is still worth going on.
    fn check(&self) -> Result<()> {
        let writer = lock(&self.writer);
        writer.check_open()?;
        writer.changes.as_ref().map_or(Ok(()), Changes::check)
    }

    /// Lets nothing be noted any more.
    fn abandon(&mut self) {
        if matches!(std::mem::replace(&mut self.stage, Stage::Over), Stage::Header | Stage::Entries(..)) {
            lock(&self.writer).changes = None;
        }
    }

    /// What was committed since the beginning: the moment that the backup is of.
    fn end_changes(&self) -> Result<NotedChanges> {
        let mut writer = lock(&self.writer);
        writer.check_open()?;
        let changes = writer.changes.take();
        drop(writer);
        let lost = || Error::new(ErrorKind::Closed, "nobody noted what was written meanwhile");
        changes.ok_or_else(lost)?.finish()
    }
}

impl Iterator for Backup {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.abandon();
        }
        step.transpose()
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The next entries of a space. A range is begun for each step, so that nothing is held on to in between.
///
/// From the last to the first, since what grows, as streams and lists of executions do, grows at its end: there it is
/// behind the reader, who else might never catch up with a fast writer.
fn read_entries(checkpoints: &Checkpoints, space: Space, below: &mut Option<Bytes>) -> Result<WriteBatch> {
    let end = below.take().map_or(Bound::Unbounded, Bound::Excluded);
    let mut batch = WriteBatch::new();
    for entry in checkpoints.range(space, KeyRange { start: Bound::Unbounded, end }, Direction::Reverse) {
        let (key, value) = entry?;
        batch.put(space, &key, value);
        *below = Some(key);
        if batch.size() >= RECORD_BYTES {
            break;
        }
    }
    Ok(batch)
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
