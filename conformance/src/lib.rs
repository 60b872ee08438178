//! What every agent library of Perper must do; `README.md` tells how a language joins.
//!
//! This library is what the harness and the peer for Rust share: values as they stand in JSON and YAML.

mod notation;

pub use notation::{from_json, to_json};
