//! What should be and what is, compared: says what to do, and does nothing. No clock, no network.

mod backoff;
mod plan;
#[cfg(test)]
mod tests;

pub use backoff::{Backoff, BackoffSettings};
pub use plan::{Action, AgentReport, Desired, InstanceSeen, Plan, Reconciler, Report};
