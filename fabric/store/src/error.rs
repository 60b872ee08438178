//! The one error of this crate.

use std::io;
use std::sync::Arc;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller may want to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The disk has no room left, or only what is reserved for writes that free some.
    DiskFull,
    /// An earlier commit failed, so nothing is acknowledged any more; the server must be restarted.
    Poisoned,
    /// Another process holds the data folder.
    Locked,
    /// The data folder was written by a newer version, or by another kind of store.
    Incompatible,
    /// What was read is not what was written.
    Corrupt,
    /// The batch breaks a limit; nothing of it was written.
    InvalidBatch,
    /// The store or the committer is closed.
    Closed,
    /// Something that is done once at a time is being done already.
    Busy,
    /// The operating system refused.
    Io,
}

/// Why the store could not do as asked. Cheap to clone: one failed commit is told to all that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
}

impl Error {
    /// An error of a kind, with what was wrong and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a caller may want to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// An error of the operating system while doing `what`.
    pub(crate) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("{what}: {error}"))
    }

    /// What everyone is told after `self` ended the writing.
    pub(crate) fn poison(&self) -> Self {
        Self::new(
            ErrorKind::Poisoned,
            format!(
                "the store takes no more writes because an earlier one failed ({self}); restart the server once that is mended"
            ),
        )
    }
}
