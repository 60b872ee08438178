//! The ambient context: which connection, agent, instance and execution the code that runs belongs to.
//!
//! A handler's code names no connection. It calls [`call`], [`state`] or [`stream`], and those find the [`Context`] that
//! the runtime set around the handler. Whoever prefers to pass it explicitly asks for it once, with [`context`], and
//! uses its methods, which are the same.
//!
//! The context is set around each handler and each step of a generator; an iterator over a stream keeps the one that
//! it was made in; [`spawn`] carries it into a task (`tokio::spawn` does not). Where none is set, a default of the
//! process serves: the one that [`connect`] made, or that of the only running agent.

mod ambient;
mod calls;
mod context;
mod deadline;
mod execution;
mod trace;

pub use ambient::{connect, connect_with, context, spawn, try_context};
pub use calls::{call, call_agent, start_agent, stop_agent};
pub use context::Context;
pub use deadline::with_timeout;

pub(crate) use ambient::register_default;
pub(crate) use context::Connection;
pub(crate) use execution::ExecutionScope;
