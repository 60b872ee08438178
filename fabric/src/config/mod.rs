//! What a server is told: the plain struct [`Config`], and how it is read from flags, environment and a file.

mod check;
mod error;
mod model;

pub(crate) use check::is_loopback;
pub use error::{ConfigError, Origin, Problem};
pub(crate) use model::durability_name;
pub use model::{Config, Limits, LogFormat, Storage, Tls};
pub use perper_store::{Durability, StoreKind};
