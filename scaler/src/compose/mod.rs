//! Agents as containers of a Compose project.
//!
//! The service that is named like an agent says how its containers are run. Compose itself reads its file; the Docker
//! Engine runs the containers. They are members of the project, in its networks, and outlive the Scaler: the next one
//! finds them by their labels.

mod backend;
mod engine;
mod mounts;
mod project;
mod syntax;
mod template;
mod translation;
mod unit;

pub use backend::{Compose, Settings};
pub use project::{Project, Source};
