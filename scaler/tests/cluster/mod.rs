//! A cluster of Kubernetes for a test: a namespace of its own, with whoever plays its nodes.
//!
//! The API server is a stand-in, or the one that `KUBECONFIG` names; a test does not know which. What Scalers ask for
//! goes through fronts, so it is known who did what, each can be cut off, and each can be made to fail, whichever server
//! is behind them.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

mod account;
mod definition;
mod front;
mod log;
mod namespace;
mod node;
mod place;
mod space;
pub(crate) mod user;

pub(crate) use front::Front;
pub(crate) use log::Faults;
pub(crate) use place::{in_the_cluster, on_the_stand_in, skipped, tests_of_clusters};
pub(crate) use space::{Cluster, Objects};
