use std::collections::BTreeMap;

use crate::application::{generator::GeneratorOptions, settings::AgentSettings};

/// What a worker serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerOptions {
    /// The agent.
    pub agent: String,
    /// The only instance that this process serves, where a scaler has named one; otherwise it serves all.
    pub instance: Option<String>,
    /// The delegates that there are handlers for. `Start` (or `Startup`) and `Stop` are answered by the worker where they
    /// are not among them.
    pub delegates: Vec<String>,
    /// Those of the delegates that are generators, with how their streams are made. A plain call of one is answered by
    /// the worker, with the reference to a stream that it has started.
    pub streams: BTreeMap<String, GeneratorOptions>,
    /// There is a handler for whatever else is called: listen for every delegate.
    pub any_delegate: bool,
    /// There is a handler for `Deploy`.
    pub deploy: bool,
    /// There is a handler for `Upgrade`.
    pub upgrade: bool,
    /// There is a handler for `EnterContainer`.
    pub enter: bool,
    /// How much at once, and how to stop.
    pub settings: AgentSettings,
}

/// The delegates that the Fabric calls when an instance is started and stopped.
pub(super) const START: &str = "Start";
pub(super) const STARTUP: &str = "Startup";
pub(super) const STOP: &str = "Stop";

impl WorkerOptions {
    /// The id of the agent's implicit instance: it exists always, has entered already, and is the same in every run.
    pub fn implicit_instance(&self) -> String {
        format!("{}-deploy", self.agent)
    }

    pub(super) fn serves(&self, delegate: &str) -> bool {
        self.any_delegate || self.delegates.iter().any(|served| served == delegate)
    }

    /// The name under which the handler of a delegate was declared.
    pub(super) fn alias(&self, delegate: &str) -> Option<&'static str> {
        (delegate == START && self.delegates.iter().any(|served| served == STARTUP)).then_some(STARTUP)
    }

    /// Everything to listen for.
    pub(super) fn listened(&self) -> Vec<String> {
        if self.any_delegate {
            return Vec::new();
        }
        let mut delegates = self.delegates.clone();
        for always in [START, STOP] {
            if !delegates.iter().any(|delegate| delegate == always) {
                delegates.push(always.to_owned());
            }
        }
        delegates
    }
}
