//! Perper for Rust: a stream-based, horizontally scalable framework for asynchronous data processing.
//!
//! Four layers, of which a program may use any: [`protocol`] (a connection to a Fabric), the [`model`] (references
//! that agents exchange), the ambient context, and the application runtime.

pub mod model;
pub mod protocol;

mod error;

pub use error::{Error, ErrorKind, Failure, Result};
