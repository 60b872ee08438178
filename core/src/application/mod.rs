//! The application runtime: declare handlers for the delegates of an agent, and run the process that serves them.
//!
//! [`Agent::builder`](crate::Agent::builder) begins it: the model's [`Agent`](crate::Agent) is the reference to an
//! instance, and its builder describes the process that answers for such instances.

mod arguments;
mod builder;
mod generator;
mod handler;
mod lifecycle;
mod results;
mod running;
mod serde_result;
mod settings;
mod signals;
pub mod worker;

pub use arguments::{FromArguments, Rest};
pub use builder::AgentBuilder;
pub use generator::{GeneratorOptions, IntoItem, Keyed, Resume, keyed};
pub use handler::Handler;
pub use results::IntoOutcome;
pub use running::RunningAgent;
pub use settings::AgentSettings;
