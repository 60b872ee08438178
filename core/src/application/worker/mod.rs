//! The loop under every agent process, in Rust and in every binding: listens, lets instances enter, hands activations
//! out, and takes their outcomes.

mod conclude;
mod event;
mod options;
pub mod packed;
mod state;
#[expect(clippy::module_inception, reason = "the worker itself, beside what it is made of")]
mod worker;

pub use event::{Event, Invocation, InvocationKind, Outcome};
pub use options::WorkerOptions;
pub use packed::Port;
pub use worker::Worker;
