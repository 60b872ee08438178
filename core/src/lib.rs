//! Perper for Rust: a stream-based, horizontally scalable framework for asynchronous data processing.
//!
//! Four layers, of which a program may use any: [`protocol`] (a connection to a Fabric), the [`model`] (references
//! that agents exchange), the ambient context, and the application runtime.

pub mod application;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod extensions;
pub mod model;
pub mod protocol;

mod error;
#[cfg(test)]
mod send_sync;

pub use application::{
    AgentBuilder, AgentSettings, GeneratorOptions, Keyed, Rest, Resume, RunningAgent, keyed,
};
pub use error::{Error, ErrorKind, Failure, Result};
pub use extensions::{
    Context, blank_stream, call, call_agent, connect, connect_with, context, declare_stream, dictionary,
    list, spawn, start_agent, state, stop_agent, stream, try_context, with_timeout,
};
pub use model::{Agent, Dictionary, Execution, List, Stream};
