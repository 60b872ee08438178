//! The Fabric: the server that all agent processes of a Perper application connect to.
//!
//! It runs as the binary `perper-fabric` (see `docs/operations.md`), or inside any process through [`Config`].

pub mod config;
pub mod engine;
pub mod metrics;

pub use config::{Config, Limits};
pub use metrics::Metrics;
