use std::fmt;

/// What a back-end could not do, or what is wrong with what it was told.
///
/// Neither kind stops the Scaler: everything is compared and tried again. Only what is wrong at the start is fatal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A template cannot be used.
    #[error("{place}: {message}")]
    Template {
        /// The file, or the resource.
        place: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The back-end failed.
    #[error("{what}: {cause}")]
    Backend {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The Fabric refuses to be observed.
    #[error("the Fabric cannot be observed: {0}")]
    Fabric(#[from] perper::Error),
}

impl Error {
    pub(crate) fn backend(
        what: impl fmt::Display,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error::Backend { what: what.to_string(), cause: cause.into() }
    }

    pub(crate) fn template(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Error::Template { place: place.to_string(), message: message.to_string() }
    }
}

/// With an [`Error`] of the Scaler.
pub type Result<T, E = Error> = std::result::Result<T, E>;
