//! The server around the services: address, connections, TLS, health, reflection, metrics, and an orderly end.

pub(crate) mod backend;
mod connection;
mod greeting;
mod health;
mod ingress;
mod listener;
mod log_gate;
mod message_limit;
mod metered;
mod metrics_http;
mod observed_store;
mod running;
#[cfg(test)]
mod running_tests;

pub(crate) use log_gate::LogGate;
pub use running::{Fabric, RunningFabric, check_files};
