//! Perper for Rust: a stream-based, horizontally scalable framework for asynchronous data processing.
//!
//! ```
//! use perper::{Agent, embedded::Embedded};
//!
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! /// Calls another delegate of the same instance.
//! async fn sum(numbers: Vec<i64>) -> perper::Result<i64> {
//!     let mut sum = 0;
//!     for number in numbers {
//!         sum = perper::call("Add", (sum, number)).await?;
//!     }
//!     Ok(sum)
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> perper::Result<()> {
//! let fabric = Embedded::temporary().await?;
//! let calculator = Agent::builder("Calculator").delegate("Add", add).delegate("Sum", sum);
//! let calculator = calculator.start_with(fabric.settings()).await?;
//!
//! let (instance, ()) = perper::start_agent("Calculator", ()).await?;
//! let total: i64 = instance.call("Sum", (vec![1, 2, 3],)).await?;
//! assert_eq!(total, 6);
//!
//! calculator.shutdown().await?;
//! fabric.shutdown().await
//! # }
//! ```
//!
//! Four layers, of which a program may use any: [`protocol`] (a connection to a Fabric), the [`model`] (references that
//! agents exchange), [`extensions`] (the ambient context, and what handlers ask of it), and [`application`] (handlers, and
//! the process that runs them).

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
