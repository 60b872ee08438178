//! What is committed while a backup is taken.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::journal::{HEADER_BYTES, Record, record_header};
use crate::{Error, ErrorKind, HeadRoom, Result};

/// Groups that were committed since it was made, in a file that goes with this value.
///
/// To note one must not fail a commit, so it only keeps the error for whoever takes the backup.
#[derive(Debug)]
pub(crate) struct Changes {
    file: BufWriter<File>,
    name: FileName,
    head_room: HeadRoom,
    failure: Option<Error>,
}

/// The name of a file that is deleted with this value.
#[derive(Debug)]
struct FileName(PathBuf);

impl Drop for FileName {
    fn drop(&mut self) {
        // What is left is cleared away by the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl Changes {
    /// Begins a file in the folder of a journal, which leaves so many bytes of the disk free.
    pub(crate) fn begin(folder: &Path, spare: u64) -> Result<Self> {
        Self::begin_with(folder, HeadRoom::of_folder(folder, spare)?)
    }

    fn begin_with(folder: &Path, head_room: HeadRoom) -> Result<Self> {
        let path = path(folder);
        let failed = |error| Error::io(format!("making the file {}", path.display()), &error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file.map_err(failed)?),
            name: FileName(path.clone()),
            head_room,
            failure: None,
        })
    }

    /// Deletes what a crash has left behind.
    pub(crate) fn clear(folder: &Path) {
        drop(FileName(path(folder)));
    }

    /// Notes a group, given as the record that the journal has of it.
    pub(crate) fn note(&mut self, generation: u64, record: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        self.head_room.spend(record.len());
        if !self.head_room.has_head_room() {
            let message = format!(
                "the disk is too full to note what is written while a backup is taken: it leaves {} MiB free; \
                 make room, or take it when less is written",
                self.head_room.reserve() >> 20
            );
            return self.fail(Error::new(ErrorKind::DiskFull, message));
        }
        let written =
            self.file.write_all(&generation.to_le_bytes()).and_then(|()| self.file.write_all(record));
        if let Err(error) = written {
            self.fail(Error::io(format!("writing to {}", self.name.0.display()), &error));
        }
    }

    /// Takes note that nothing is to be had of this any more.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Why nothing is to be had of this any more, if that is so.
    pub(crate) fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// The groups, to be read in order.
    pub(super) fn finish(self) -> Result<NotedChanges> {
        self.check()?;
        let Self { file, name, .. } = self;
        let failed = |error| Error::io(format!("reading back {}", name.0.display()), &error);
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        Ok(NotedChanges { file: BufReader::with_capacity(256 << 10, file), name })
    }
}

/// Groups that were noted.
#[derive(Debug)]
pub(super) struct NotedChanges {
    file: BufReader<File>,
    name: FileName,
}

impl NotedChanges {
    /// The next one.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>> {
        let path = &self.name.0;
        let failed = |error| Error::io(format!("reading back {}", path.display()), &error);
        let mut generation = [0; 8];
        match self.file.read(&mut generation[..1]).map_err(failed)? {
            0 => return Ok(None),
            _ => self.file.read_exact(&mut generation[1..]).map_err(failed)?,
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact(&mut header).map_err(failed)?;
        let (length, checksum) = record_header(header);
        let mut ops = Vec::new();
        (&mut self.file).take(length).read_to_end(&mut ops).map_err(failed)?;
        let record = Record::check(ops, u64::from_le_bytes(generation), checksum);
        record.map(Some).ok_or_else(|| {
            let message = format!("{} is not what was written to it; look after the disk", path.display());
            Error::new(ErrorKind::Corrupt, message)
        })
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("backup.changes")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::journal::encode_record;
    use crate::{Space, WriteBatch};

    #[test]
    fn a_backup_gives_way_when_the_disk_fills_up() {
        let folder = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1_000));
        let probe = Arc::clone(&free);
        let head_room = HeadRoom::with_probe(100, move || Ok(probe.load(Ordering::SeqCst))).unwrap();
        let mut changes = Changes::begin_with(folder.path(), head_room).unwrap();
        let mut batch = WriteBatch::new();
        batch.put_slice(Space::Lists, b"key", &[7; 500]);
        let mut record = Vec::new();
        encode_record(&mut record, 3, &[batch]);
        changes.note(3, &record);
        changes.check().unwrap();
        free.store(50, Ordering::SeqCst);
        changes.note(3, &record);
        assert_eq!(changes.check().unwrap_err().kind(), ErrorKind::DiskFull);
        free.store(1_000, Ordering::SeqCst);
        changes.note(3, &record);
        assert_eq!(changes.finish().unwrap_err().kind(), ErrorKind::DiskFull, "one is missing");
        assert!(!path(folder.path()).exists());
    }
}
