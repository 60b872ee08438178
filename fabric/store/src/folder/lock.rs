//! One server per folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// The longest name of a process that is read back.
const MAX_PID_BYTES: u64 = 32;

/// Held by the operating system for the open file, so it ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let failed = |error| Error::io(format!("locking {}", path.display()), &error);
        // Not truncated when opened: the name inside is the holder's until the lock is ours.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn held(folder: &Path, file: &mut File) -> Error {
    let mut pid = String::new();
    // Only to name it; whatever goes wrong, the lock is held.
    let _ = file.take(MAX_PID_BYTES).read_to_string(&mut pid);
    let by = match pid.trim() {
        "" => String::from("another server"),
        pid => format!("another server, process {pid}"),
    };
    let message = format!(
        "the data folder {} is in use by {by}; stop that one first, or use another folder",
        folder.display()
    );
    Error::new(ErrorKind::Locked, message)
}
