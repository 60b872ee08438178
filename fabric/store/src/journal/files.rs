//! The files of a journal: numbered by generation, appended to, read at the start, deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::record::{self, HEADER_BYTES, Record};
use crate::disk::sync_folder;
use crate::{Error, ErrorKind, Result};

/// What a file begins with, the generation after it.
const MAGIC: [u8; 8] = *b"perperJ1";

const EXTENSION: &str = "journal";

/// Disk that is taken in advance where each record is flushed. A flush that need not make the file longer touches only
/// what was written, which halves the time of a small one.
const AHEAD_BYTES: u64 = 4 << 20;

/// A file that is written to.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    generation: u64,
    /// Bytes that were written.
    size: u64,
    /// Bytes that the file has on disk, zeros after those that were written; none if nothing is taken in advance.
    ahead: Option<u64>,
}

impl JournalFile {
    /// Makes the file of a generation, and its name durable.
    pub(super) fn create(folder: &Path, generation: u64, flushed: bool) -> Result<Self> {
        let path = folder.join(format!("{generation:020}.{EXTENSION}"));
        let failed = |error| Error::io(format!("making the journal file {}", path.display()), &error);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&generation.to_le_bytes());
        file.write_all(&header).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_folder(folder)?;
        let size = header.len() as u64;
        Ok(Self { size, path, file, generation, ahead: flushed.then_some(size) })
    }

    pub(super) fn append(&mut self, record: &[u8]) -> Result<()> {
        self.take_ahead(self.size + record.len() as u64)?;
        self.file.write_all(record).map_err(|error| {
            Error::io(format!("writing to the journal file {}", self.path.display()), &error)
        })?;
        self.size += record.len() as u64;
        Ok(())
    }

    fn take_ahead(&mut self, end: u64) -> Result<()> {
        let Some(ahead) = self.ahead.filter(|ahead| *ahead < end) else { return Ok(()) };
        let next = end.max(ahead + AHEAD_BYTES);
        match fs4::FileExt::allocate(&self.file, next) {
            Ok(()) => self.ahead = Some(next),
            // Not every file system can; and one that lacks the room for more may still have it for the record itself.
            Err(error) => {
                tracing::debug!(%error, file = %self.path.display(), "no disk is taken in advance");
                self.ahead = None;
            }
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|error| Error::io(format!("flushing the journal file {}", self.path.display()), &error))
    }

    /// The file once more, to flush it from elsewhere.
    pub(super) fn handle(&self) -> Result<File> {
        self.file
            .try_clone()
            .map_err(|error| Error::io(format!("opening the journal file {}", self.path.display()), &error))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }

    /// Deletes the file, which holds nothing any more that is needed.
    pub(super) fn remove(&self) -> Result<()> {
        remove(std::slice::from_ref(&self.path))
    }
}

/// Deletes files of one folder, durably: a file that came back would undo what was written after it.
pub(super) fn remove(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != IoErrorKind::NotFound => {
                return Err(Error::io(format!("deleting the journal file {}", path.display()), &error));
            }
            _ => {}
        }
    }
    match paths.first().and_then(|path| path.parent()) {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// What a start finds.
pub(super) struct Replay {
    /// The records, oldest first.
    pub(super) records: Box<dyn Iterator<Item = Result<Record>>>,
    /// The files that they are read from.
    pub(super) files: Vec<PathBuf>,
    /// The generation after those.
    pub(super) next_generation: u64,
}

/// Reads the files of a folder, which is made if it is missing.
pub(super) fn replay(folder: &Path) -> Result<Replay> {
    let failed = |error| Error::io(format!("reading the journal in {}", folder.display()), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    let mut generations = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let generation = path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
        generations.push((generation.ok_or_else(|| corrupt(&path, "has no number for a name"))?, path));
    }
    generations.sort();
    let next_generation = generations.last().map_or(1, |(generation, _)| generation + 1);
    let files: Vec<PathBuf> = generations.iter().map(|(_, path)| path.clone()).collect();
    let last = generations.len().saturating_sub(1);
    let records = generations
        .into_iter()
        .enumerate()
        .flat_map(move |(index, (generation, path))| ReadFile::new(path, generation, index == last));
    Ok(Replay { records: Box::new(records), files, next_generation })
}

/// Reads the records of one file.
struct ReadFile {
    path: PathBuf,
    generation: u64,
    /// Only the last file may end in the middle of a record: the write that a crash cut short. It was not acknowledged.
    may_be_torn: bool,
    open: Option<BufReader<File>>,
    at: u64,
    size: u64,
    done: bool,
}

impl ReadFile {
    fn new(path: PathBuf, generation: u64, may_be_torn: bool) -> Self {
        Self { path, generation, may_be_torn, open: None, at: 0, size: 0, done: false }
    }

    fn read(&mut self) -> Result<Option<Record>> {
        let path = self.path.clone();
        let failed = |error| Error::io(format!("reading the journal file {}", path.display()), &error);
        let reader = match &mut self.open {
            Some(reader) => reader,
            None => {
                let file = File::open(&self.path).map_err(failed)?;
                self.size = file.metadata().map_err(failed)?.len();
                let reader = self.open.insert(BufReader::with_capacity(1 << 20, file));
                let mut header = [0; 16];
                if self.size < header.len() as u64 {
                    return self.torn();
                }
                reader.read_exact(&mut header).map_err(failed)?;
                if header[..8] != MAGIC || header[8..] != self.generation.to_le_bytes() {
                    return self.torn();
                }
                self.at = header.len() as u64;
                reader
            }
        };
        if self.at == self.size {
            return Ok(None);
        }
        let left = self.size - self.at;
        if left < HEADER_BYTES as u64 {
            return self.torn();
        }
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header).map_err(failed)?;
        if header == [0; HEADER_BYTES] {
            // Taken in advance, and never written.
            return Ok(None);
        }
        let (length, checksum) = record::header(header);
        if length == 0 || length > left - HEADER_BYTES as u64 {
            return self.torn();
        }
        let mut ops = vec![0; length as usize];
        reader.read_exact(&mut ops).map_err(failed)?;
        match Record::check(ops, self.generation, checksum) {
            Some(record) => {
                self.at += HEADER_BYTES as u64 + length;
                Ok(Some(record))
            }
            None => self.torn(),
        }
    }

    /// Cuts off what follows the last whole record, so that the file is sound when it is no longer the last one.
    fn torn(&mut self) -> Result<Option<Record>> {
        if !self.may_be_torn {
            return Err(corrupt(&self.path, &format!("is damaged at byte {} of {}", self.at, self.size)));
        }
        tracing::warn!(file = %self.path.display(), at = self.at, size = self.size, "cut off a torn record");
        if self.at == 0 {
            remove(std::slice::from_ref(&self.path))?;
            return Ok(None);
        }
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_len(self.at).and_then(|()| file.sync_all()))
            .map_err(|error| {
                Error::io(format!("cutting the journal file {}", self.path.display()), &error)
            })?;
        Ok(None)
    }
}

impl Iterator for ReadFile {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.read().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}

fn corrupt(path: &Path, how: &str) -> Error {
    let message = format!("the journal file {} {how}; restore the data folder from a backup", path.display());
    Error::new(ErrorKind::Corrupt, message)
}
