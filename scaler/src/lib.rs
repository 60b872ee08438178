//! The Scaler: starts, runs and stops agent processes as instances of agents come and go.
//!
//! An instance of an agent is an execution of the agent `Registry`. The [`observer`] follows those; the [`reconciler`]
//! compares what should run with what does, and says what to do; a [`backend`] does it. All is driven by levels, not by
//! edges: after an error, a reconnect or a restart, everything is compared with everything again.
//!
//! It runs as the binary `perper-scaler`; see `docs/scaler.md`.

pub mod backend;
#[cfg(feature = "compose")]
pub mod compose;
pub mod config;
mod error;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod metrics;
pub mod model;
mod names;
pub mod observer;
pub mod process;
pub mod reconciler;
mod scaler;
mod serving;

pub use error::{Error, Result};
pub use scaler::{Scaler, Settings};
pub use serving::{Health, Serving, ask_health};
