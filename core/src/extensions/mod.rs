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
mod dictionaries;
mod execution;
mod items;
mod lists;
mod state;
mod streams;
mod trace;

pub use ambient::{connect, connect_with, context, spawn, try_context};
pub use calls::{call, call_agent, start_agent, stop_agent};
pub use context::Context;
pub use deadline::with_timeout;
pub use dictionaries::{DictionaryBatch, DictionaryEntries};
pub use items::{Entries, Items, ListenBuilder, StreamWriter};
pub use lists::ListElements;
pub use state::{StateBuilder, StateKind, dictionary, list, state};
pub use streams::{BlankStreamBuilder, DeclaredStream, StreamBuilder, blank_stream, declare_stream, stream};

pub(crate) use ambient::register_default;
pub(crate) use context::Connection;
pub(crate) use execution::{ExecutionScope, Slots};
pub(crate) use streams::{create as create_stream, generator as generator_execution};
