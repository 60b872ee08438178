//! Where a backup goes: to standard output, or to a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use perper_store::sync_folder;

/// Where a backup goes.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// None for standard output.
    unfinished: Option<Unfinished>,
}

impl Output {
    pub(super) fn to(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                bail!("a backup is nothing to look at: redirect it, or name a file with --to");
            }
            let writer = BufWriter::new(Box::new(io::stdout()) as Box<dyn Write>);
            return Ok(Self { writer, unfinished: None });
        }
        let unfinished = Unfinished::begin(path)?;
        let file: Box<dyn Write> = Box::new(unfinished.file.try_clone()?);
        Ok(Self { writer: BufWriter::with_capacity(1 << 20, file), unfinished: Some(unfinished) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).map_err(|error| {
            // Else it would seem that the backup could not be read.
            let place = self.unfinished.as_ref().map(|unfinished| unfinished.partial.display());
            let place = place.map_or_else(|| "standard output".to_owned(), |place| place.to_string());
            io::Error::new(error.kind(), format!("writing it to {place}: {error}"))
        })
    }

    /// Whether there is a file now.
    pub(super) fn complete(mut self) -> anyhow::Result<bool> {
        self.writer.flush().context("the backup could not be written")?;
        self.unfinished.map_or(Ok(false), |unfinished| unfinished.complete().map(|()| true))
    }
}

/// A file that gets its name when it is whole, and goes with this value before that.
struct Unfinished {
    file: File,
    /// Its name in the end, and until then.
    path: PathBuf,
    partial: PathBuf,
    complete: bool,
}

impl Unfinished {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let mut name = path.file_name().context("--to names no file")?.to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let mut options = OpenOptions::new();
        // Not truncated when opened: what is in it is somebody else's until the lock is ours.
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = || format!("{} cannot be written", partial.display());
        let file = loop {
            let file = options.open(&partial).with_context(written)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let partial = partial.display();
                    bail!("another backup is being written to {partial}: wait for it, or name another file");
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(written),
            }
            if is_at(&file, &partial) {
                break file;
            }
        };
        only_for_its_owner(&file).and_then(|()| file.set_len(0)).with_context(written)?;
        Ok(Self { file, path: path.to_owned(), partial, complete: false })
    }

    fn complete(mut self) -> anyhow::Result<()> {
        let path = &self.path;
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, path))
            .with_context(|| format!("{} could not be written", path.display()))?;
        self.complete = true;
        // Else a loss of power could still take the name back.
        Ok(sync_folder(path.parent().unwrap_or(Path::new("")))?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.complete {
            // Still locked, and so nobody else's.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Whether a file still has this name: whoever had it locked may have given it its own, or deleted it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::metadata(path).map(identity);
    file.metadata().is_ok_and(|metadata| named.is_ok_and(|named| named == identity(metadata)))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(unix)]
fn only_for_its_owner(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn only_for_its_owner(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn begin(path: &Path) -> Unfinished {
        Unfinished::begin(path).expect("nobody else writes it")
    }

    #[test]
    fn two_backups_never_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let mut first = begin(&path);
        first.file.write_all(b"the first").unwrap();
        let error = Unfinished::begin(&path).err().expect("the first is not whole yet").to_string();
        assert!(error.contains("another backup is being written to"), "{error}");
        first.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the first");

        // One that fails leaves neither anything behind nor the former one damaged.
        let mut second = begin(&path);
        second.file.write_all(b"half of").unwrap();
        drop(second);
        assert_eq!(fs::read(&path).unwrap(), b"the first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_left_by_one_that_was_killed_is_begun_anew_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
        fs::write(&partial, "a longer rest of another one").unwrap();
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o644)).unwrap();
        let mut next = begin(&path);
        next.file.write_all(b"whole").unwrap();
        next.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_has_got_its_name_is_not_taken_for_an_unfinished_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
        let first = begin(&path);
        let opened = File::open(&partial).unwrap();
        assert!(is_at(&opened, &partial));
        first.complete().unwrap();
        assert!(!is_at(&opened, &partial));
    }

    #[test]
    fn a_disk_without_room_is_told_of_as_what_is_written_to() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let writer = BufWriter::with_capacity(0, Box::new(full) as Box<dyn Write>);
        let error = Output { writer, unfinished: None }.write(b"a byte").expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("writing it to standard output: "), "{error}");
    }
}
