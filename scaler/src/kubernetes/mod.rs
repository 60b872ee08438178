//! Agents as Pods and Deployments: a controller of Kubernetes.
//!
//! A resource `PerperAgent` says how an agent is run. For each instance there is a Pod, made of the resource's template,
//! or all instances share a Deployment whose replicas follow the load. Any number of replicas of the Scaler may run: one
//! acts, the holder of a Lease.

mod backend;
mod lease;
mod status;
mod template;
mod unit;

pub use backend::{Kubernetes, Settings};
pub use template::{AgentMode, PerperAgent, PerperAgentSpec, PerperAgentStatus, crd_yaml};
