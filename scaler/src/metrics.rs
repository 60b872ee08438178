//! What is counted and measured, for Prometheus.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::reconciler::Report;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Agent {
    agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentState {
    agent: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are those of the metric's label")]
enum State {
    wanted,
    running,
    stopping,
    ended,
}

/// What a Scaler does, as numbers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    instances: Family<Agent, Gauge>,
    without_template: Family<Agent, Gauge>,
    units: Family<AgentState, Gauge>,
    starts: Family<Agent, Counter>,
    stops: Family<Agent, Counter>,
    failures: Family<Agent, Counter>,
    comparisons: Counter,
    comparisons_failed: Counter,
    comparison_seconds: Counter<f64, AtomicU64>,
    leader: Gauge,
    /// Agents that have numbers, so that those of an agent that is gone go too.
    agents: Mutex<BTreeSet<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::default(),
            instances: Family::default(),
            without_template: Family::default(),
            units: Family::default(),
            starts: Family::default(),
            stops: Family::default(),
            failures: Family::default(),
            comparisons: Counter::default(),
            comparisons_failed: Counter::default(),
            comparison_seconds: Counter::default(),
            leader: Gauge::default(),
            agents: Mutex::default(),
        };
        let registry = metrics.registry.sub_registry_with_prefix("perper_scaler");
        registry.register("instances", "Instances that the Fabric tells of", metrics.instances.clone());
        registry.register(
            "instances_without_template",
            "Instances of agents that no template names",
            metrics.without_template.clone(),
        );
        registry.register("units", "Processes, containers or Pods, by how they stand", metrics.units.clone());
        registry.register("starts", "Units started", metrics.starts.clone());
        registry.register("stops", "Units told to stop", metrics.stops.clone());
        registry.register("failures", "Starts and stops that the back-end refused", metrics.failures.clone());
        registry.register(
            "comparisons",
            "Comparisons of what should run with what does",
            metrics.comparisons.clone(),
        );
        registry.register(
            "comparisons_failed",
            "Comparisons that failed, because the back-end could not be asked",
            metrics.comparisons_failed.clone(),
        );
        registry.register(
            "comparison_seconds",
            "Time spent comparing and acting",
            metrics.comparison_seconds.clone(),
        );
        registry.register("leader", "1 while this process is the one that acts", metrics.leader.clone());
        metrics
    }
}

impl Metrics {
    pub(crate) fn started(&self, agent: &str) {
        self.starts.get_or_create(&labels(agent)).inc();
    }

    pub(crate) fn stopped(&self, agent: &str) {
        self.stops.get_or_create(&labels(agent)).inc();
    }

    pub(crate) fn failed(&self, agent: &str) {
        self.failures.get_or_create(&labels(agent)).inc();
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    pub(crate) fn compared(&self, seconds: f64, success: bool) {
        self.comparisons.inc();
        self.comparison_seconds.inc_by(seconds);
        if !success {
            self.comparisons_failed.inc();
        }
    }

    pub(crate) fn report(&self, report: &Report) {
        let mut agents = self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for agent in agents.iter().filter(|agent| !report.agents.contains_key(*agent)) {
            self.instances.remove(&labels(agent));
            self.without_template.remove(&labels(agent));
            for state in [State::wanted, State::running, State::stopping, State::ended] {
                self.units.remove(&AgentState { agent: agent.clone(), state });
            }
        }
        for (agent, numbers) in &report.agents {
            set(&self.instances, labels(agent), numbers.instances);
            let without = if numbers.has_template { 0 } else { numbers.instances };
            set(&self.without_template, labels(agent), without);
            for (state, count) in [
                (State::wanted, numbers.wanted),
                (State::running, numbers.running),
                (State::stopping, numbers.stopping),
                (State::ended, numbers.ended),
            ] {
                set(&self.units, AgentState { agent: agent.clone(), state }, count);
            }
        }
        *agents = report.agents.keys().cloned().collect();
    }

    /// All of it, in the text format of OpenMetrics.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels(agent: &str) -> Agent {
    Agent { agent: agent.to_owned() }
}

fn set<L: Clone + Eq + std::hash::Hash>(family: &Family<L, Gauge>, labels: L, count: usize) {
    family.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciler::AgentReport;

    #[test]
    fn numbers_of_an_agent_go_with_it() {
        let metrics = Metrics::default();
        let report = AgentReport { instances: 3, ..AgentReport::default() };
        metrics.report(&Report { agents: [("Lost".to_owned(), report)].into() });
        let text = metrics.encode();
        assert!(text.contains("perper_scaler_instances_without_template{agent=\"Lost\"} 3"), "{text}");
        metrics.report(&Report::default());
        assert!(!metrics.encode().contains("Lost"));
    }
}
