//! Why a server does not start, or did not end as it should.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why a server does not start, or did not end as it should. Each says what was wrong, with which value, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that exclude each other, or that would be dangerous.
    #[error("{0}")]
    Config(#[from] crate::config::ConfigError),

    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({purpose}): {hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        purpose: &'static str,
        /// What to do about it.
        hint: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// A file that was named cannot be used.
    #[error("{setting} {}: {problem}", path.display())]
    File {
        /// The flag that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },

    /// The storage cannot be opened, or could not be brought to rest.
    #[error("the storage: {0}")]
    Storage(#[from] perper_store::Error),

    /// A fault that has no better name.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A problem with a file that a flag names.
    pub(crate) fn file(setting: &'static str, path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Error::File { setting, path: path.into(), problem: problem.into() }
    }

    /// The system's refusal to listen, with what usually helps.
    pub(crate) fn listen(address: SocketAddr, purpose: &'static str, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another process has it, perhaps another perper-fabric; stop that one, or give another address \
                 (port 0 takes a free one)"
                    .to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; take a higher port, or grant CAP_NET_BIND_SERVICE".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; 0.0.0.0 or [::] means all that it has".to_owned()
            }
            _ => source.to_string(),
        };
        Error::Listen { address, purpose, hint, source }
    }
}
