//! What a server is told: the plain struct [`Config`], and how it is read from flags, environment and a file.

mod model;

pub use model::{Config, Limits, LogFormat, Storage, Tls};
pub use perper_store::{Durability, StoreKind};
