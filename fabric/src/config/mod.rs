//! What a server is told: the plain struct [`Config`], and how it is read from flags, environment and a file.

mod check;
mod error;
#[cfg(feature = "cli")]
mod flags;
mod model;
#[cfg(feature = "cli")]
mod settings;
#[cfg(feature = "cli")]
mod sources;
#[cfg(feature = "cli")]
mod units;

pub(crate) use check::is_loopback;
pub use error::{ConfigError, Origin, Problem};
#[cfg(feature = "cli")]
pub use flags::{
    BackupRequest, BackupSource, Invocation, InvocationError, RestoreRequest, ServerAccess, parse,
};
pub(crate) use model::durability_name;
pub use model::{Config, Limits, LogFormat, Storage, Tls};
pub use perper_store::{Durability, StoreKind};
#[cfg(feature = "cli")]
pub use sources::{Environment, Loaded, ProcessEnvironment};
