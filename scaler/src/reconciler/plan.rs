use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, BackoffSettings};
use crate::backend::Load;
use crate::model::{Actual, Mode, Restart, Template, Templates, Unit, UnitState};

/// An instance, as the Fabric tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSeen {
    /// Its agent.
    pub agent: String,
    /// Which life of it.
    pub incarnation: u64,
    /// The Fabric that told of it.
    pub cluster: String,
}

/// What should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The Fabric that is observed.
    pub cluster: String,
    /// Since when it is that one.
    pub cluster_since: Instant,
    /// It has told of everything there was. Before, an instance that it has not told of may still exist.
    pub started: bool,
    /// Instances by id.
    pub instances: BTreeMap<String, InstanceSeen>,
    /// Executions pending or under way, by agent.
    pub load: Load,
}

impl Desired {
    /// Nothing, of a Fabric that has not answered yet.
    pub fn unknown(now: Instant) -> Self {
        Desired {
            cluster: String::new(),
            cluster_since: now,
            started: false,
            instances: BTreeMap::new(),
            load: Load::new(),
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Start a unit.
    Start(Unit),
    /// Stop a unit.
    Stop(Unit),
    /// See that an agent has so many replicas.
    Scale {
        /// The agent.
        agent: String,
        /// How many.
        replicas: u32,
    },
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done, in any order.
    pub actions: Vec<Action>,
    /// When to compare again although nothing has changed: a wait will be over then.
    pub again: Option<Instant>,
    /// How everything stands.
    pub report: Report,
}

/// How everything stood when it was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By agent: those of templates, of instances, and of what runs.
    pub agents: BTreeMap<String, AgentReport>,
}

impl Report {
    /// Agents that have instances and no template, with the number of their instances.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, usize)> {
        let unknown = self.agents.iter().filter(|(_, report)| !report.has_template && report.instances > 0);
        unknown.map(|(agent, report)| (agent.as_str(), report.instances))
    }
}

/// How an agent stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentReport {
    /// A template says how to run it.
    pub has_template: bool,
    /// Instances of it, as the Fabric tells.
    pub instances: usize,
    /// Units that should run.
    pub wanted: usize,
    /// Units that do.
    pub running: usize,
    /// Units that were told to stop.
    pub stopping: usize,
    /// Units that ended by themselves.
    pub ended: usize,
}

/// Compares, and remembers no more than what has failed how often.
#[derive(Debug)]
pub struct Reconciler {
    backoff: BackoffSettings,
    /// How long what belongs to another Fabric is left alone.
    grace: Duration,
    backoffs: HashMap<Unit, Backoff>,
}

impl Reconciler {
    /// One that has seen no failures.
    pub fn new(backoff: BackoffSettings, grace: Duration) -> Self {
        Reconciler { backoff, grace, backoffs: HashMap::new() }
    }

    /// Compares what should be with what is.
    pub fn plan(&mut self, desired: &Desired, templates: &Templates, actual: &Actual, now: Instant) -> Plan {
        let mut plan = Plan { report: report(desired, templates, actual), ..Plan::default() };
        let wanted = wanted(desired, templates);
        self.backoffs.retain(|unit, _| wanted.contains(unit));
        for unit in wanted {
            plan.report.agents.entry(unit.agent().to_owned()).or_default().wanted += 1;
            let restart = templates.get(unit.agent()).map(|template| template.restart).unwrap_or_default();
            self.want(unit, restart, actual, now, &mut plan);
        }
        for (unit, state) in actual {
            if *state != UnitState::Stopping && !is_wanted(unit, desired, templates) {
                match self.keep_until(unit, desired, templates) {
                    Keep::No => plan.actions.push(Action::Stop(unit.clone())),
                    Keep::Until(moment) if moment <= now => {
                        plan.actions.push(Action::Stop(unit.clone()));
                    }
                    Keep::Until(moment) => plan.again_at(moment),
                    Keep::Yes => {}
                }
            }
        }
        for (agent, template) in templates {
            if let Mode::Scaled { min, max, target } = template.mode {
                let load = desired.load.get(agent).copied().unwrap_or(0);
                let asked = u32::try_from(load.div_ceil(u64::from(target.max(1)))).unwrap_or(u32::MAX);
                let replicas = asked.clamp(min, max.max(min));
                plan.report.agents.entry(agent.clone()).or_default().wanted = replicas as usize;
                plan.actions.push(Action::Scale { agent: agent.clone(), replicas });
            }
        }
        plan
    }

    /// A start failed: the next one waits.
    pub fn start_failed(&mut self, unit: &Unit, now: Instant) {
        let backoff = self.backoffs.entry(unit.clone()).or_insert_with(|| Backoff::new(now));
        backoff.failed(&self.backoff, now);
    }

    /// How often starts of a unit have failed in a row.
    pub fn failures(&self, unit: &Unit) -> u32 {
        self.backoffs.get(unit).map_or(0, Backoff::failures)
    }

    fn want(&mut self, unit: Unit, restart: Restart, actual: &Actual, now: Instant, plan: &mut Plan) {
        match actual.get(&unit) {
            Some(UnitState::Running | UnitState::Stopping) => return,
            Some(UnitState::Ended { success, ran_for }) => {
                match restart {
                    Restart::Always => {}
                    Restart::OnFailure if !success => {}
                    Restart::OnFailure | Restart::Never => return,
                }
                let backoff = self.backoffs.entry(unit.clone()).or_insert_with(|| Backoff::new(now));
                backoff.ended(*ran_for, &self.backoff, now);
            }
            None => {}
        }
        match self.backoffs.get_mut(&unit) {
            Some(backoff) if backoff.not_before() > now => plan.again_at(backoff.not_before()),
            backoff => {
                if let Some(backoff) = backoff {
                    backoff.starting();
                }
                plan.actions.push(Action::Start(unit));
            }
        }
    }

    /// Whether something that is not wanted stays for now.
    fn keep_until(&self, unit: &Unit, desired: &Desired, templates: &Templates) -> Keep {
        let Unit::Instance { agent, cluster, .. } = unit else { return Keep::No };
        if templates.get(agent).map(|template| template.mode) != Some(Mode::PerInstance) {
            return Keep::No;
        }
        if !desired.started {
            return Keep::Yes;
        }
        // Another Fabric, or one that has lost its data, knows nothing of what runs. Somebody may be about to put that
        // right.
        if *cluster != desired.cluster {
            return Keep::Until(desired.cluster_since + self.grace);
        }
        Keep::No
    }
}

impl Plan {
    fn again_at(&mut self, moment: Instant) {
        self.again = Some(self.again.map_or(moment, |again| again.min(moment)));
    }
}

enum Keep {
    Yes,
    No,
    Until(Instant),
}

fn unit(id: &str, instance: &InstanceSeen) -> Unit {
    Unit::Instance {
        agent: instance.agent.clone(),
        instance: id.to_owned(),
        incarnation: instance.incarnation,
        cluster: instance.cluster.clone(),
    }
}

fn wanted(desired: &Desired, templates: &Templates) -> BTreeSet<Unit> {
    let per_instance =
        |agent: &str| matches!(templates.get(agent), Some(Template { mode: Mode::PerInstance, .. }));
    let instances = desired.instances.iter().filter(|(_, instance)| per_instance(&instance.agent));
    let mut wanted: BTreeSet<Unit> = instances.map(|(id, instance)| unit(id, instance)).collect();
    for (agent, template) in templates {
        if let Mode::Replicas(count) = template.mode {
            wanted.extend((0..count).map(|number| Unit::Replica { agent: agent.clone(), number }));
        }
    }
    wanted
}

fn is_wanted(unit: &Unit, desired: &Desired, templates: &Templates) -> bool {
    let mode = templates.get(unit.agent()).map(|template| template.mode);
    match unit {
        Unit::Replica { number, .. } => matches!(mode, Some(Mode::Replicas(count)) if *number < count),
        Unit::Instance { agent, instance, incarnation, cluster } => {
            mode == Some(Mode::PerInstance)
                && desired.instances.get(instance).is_some_and(|seen| {
                    seen.agent == *agent && seen.incarnation == *incarnation && seen.cluster == *cluster
                })
        }
    }
}

fn report(desired: &Desired, templates: &Templates, actual: &Actual) -> Report {
    let mut agents: BTreeMap<String, AgentReport> = BTreeMap::new();
    for agent in templates.keys() {
        agents.entry(agent.clone()).or_default().has_template = true;
    }
    for instance in desired.instances.values() {
        agents.entry(instance.agent.clone()).or_default().instances += 1;
    }
    for (unit, state) in actual {
        let agent = agents.entry(unit.agent().to_owned()).or_default();
        match state {
            UnitState::Running => agent.running += 1,
            UnitState::Stopping => agent.stopping += 1,
            UnitState::Ended { .. } => agent.ended += 1,
        }
    }
    Report { agents }
}
