//! What the Scaler speaks of: units, which are what runs, and templates, which say how.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One thing that is to run, or runs: a process, a container, a Pod.
///
/// A unit names one life of an instance, not the instance alone: one that was stopped and started again is another
/// unit, so the end of the old one is never taken for the end of the new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Serves one instance and no other.
    Instance {
        /// The agent.
        agent: String,
        /// The instance.
        instance: String,
        /// Which life of it, as the Fabric counts.
        incarnation: u64,
        /// The Fabric that counts: another one starts from the beginning.
        cluster: String,
    },
    /// One of several that share all instances of an agent.
    Replica {
        /// The agent.
        agent: String,
        /// Counted from 0.
        number: u32,
    },
}

impl Unit {
    /// The agent that it serves.
    pub fn agent(&self) -> &str {
        match self {
            Unit::Instance { agent, .. } | Unit::Replica { agent, .. } => agent,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Instance { agent, instance, incarnation, .. } => {
                write!(f, "{agent}/{instance}#{incarnation}")
            }
            Unit::Replica { agent, number } => write!(f, "{agent}[{number}]"),
        }
    }
}

/// How instances of an agent are divided among units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A unit for each instance.
    PerInstance,
    /// So many units for all of them, whether there are instances or not.
    Replicas(u32),
    /// A number of replicas that follows the load; the back-end itself keeps that many.
    Scaled {
        /// Never fewer.
        min: u32,
        /// Never more.
        max: u32,
        /// Executions for one replica.
        target: u32,
    },
}

/// What happens when a unit ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again.
    #[default]
    Always,
    /// It is started again, unless it said that all went well.
    OnFailure,
    /// It stays ended.
    Never,
}

/// What the reconciler has to know of how an agent is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// How instances are divided.
    pub mode: Mode,
    /// What happens to a unit that ends by itself.
    pub restart: Restart,
}

/// Templates by agent.
pub type Templates = BTreeMap<String, Template>;

/// How a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// It runs, or is about to.
    Running,
    /// It was told to stop, and has not yet.
    Stopping,
    /// It ended by itself; nothing of it runs.
    Ended {
        /// It said that all went well.
        success: bool,
        /// How long it ran.
        ran_for: Duration,
    },
}

/// What runs, as a back-end says.
pub type Actual = BTreeMap<Unit, UnitState>;
