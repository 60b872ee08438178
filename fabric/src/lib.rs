//! The Fabric: the server that all agent processes of a Perper application connect to.
//!
//! It runs as the binary `perper-fabric` (see `docs/operations.md`), or inside any process:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), perper_fabric::Error> {
//! use perper_fabric::{Config, Fabric};
//!
//! let fabric = Fabric::start(Config { address: ([127, 0, 0, 1], 0).into(), ..Config::default() }).await?;
//! println!("agents connect to http://{}", fabric.address());
//! fabric.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod broker;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod engine;
mod error;
pub mod metrics;
mod security;
mod server;
mod service;

pub use config::{Config, Limits};
pub use error::Error;
pub use metrics::Metrics;
pub use server::{Fabric, RunningFabric, check_files};
