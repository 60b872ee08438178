//! What every agent library of Perper must do; `README.md` tells how a language joins.
//!
//! This library is what can be tested by itself: values as they stand in JSON and YAML, which the harness and the peer for
//! Rust share, and what a scenario expects against what came.

mod expect;
mod notation;

pub use expect::{Names, check, resolve};
pub use notation::{from_json, to_json};
