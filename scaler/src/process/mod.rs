//! Agent processes as children of this one: for development, tests and a single machine.
//!
//! None outlives the Scaler. Each leads a process group, which is killed whole. Another process, the [`keeper`], knows
//! the groups and waits for the Scaler to be gone, so that not even `kill -9` of it leaves anything behind; and a
//! Scaler that starts looks for what the two could not clear away.

mod backend;
pub mod keeper;
mod leftovers;
mod output;
mod template;
mod unit;

pub use backend::{Process, Settings};
pub use output::{Format, Output};
pub use template::{Program, Programs};
