//! Tables: what should be, what is, and what follows.

use std::time::{Duration, Instant};

use super::*;
use crate::model::{Actual, Mode, Restart, Template, Templates, Unit, UnitState};

const GRACE: Duration = Duration::from_secs(30);
const RUNNING: UnitState = UnitState::Running;
const STOPPING: UnitState = UnitState::Stopping;
const ENDED: UnitState = UnitState::Ended { success: false, ran_for: Duration::from_secs(1) };
const SUCCEEDED: UnitState = UnitState::Ended { success: true, ran_for: Duration::from_secs(1) };

fn templates() -> Templates {
    let template = |mode, restart| Template { mode, restart };
    [
        ("A", template(Mode::PerInstance, Restart::Always)),
        ("Once", template(Mode::PerInstance, Restart::OnFailure)),
        ("Never", template(Mode::PerInstance, Restart::Never)),
        ("Shared", template(Mode::Replicas(2), Restart::Always)),
        ("Scaled", template(Mode::Scaled { min: 1, max: 5, target: 10 }, Restart::Always)),
    ]
    .map(|(agent, template)| (agent.to_owned(), template))
    .into()
}

/// An instance's unit: `A/i#1@c`.
fn instance(text: &str) -> Unit {
    let (agent, rest) = text.split_once('/').unwrap();
    let (id, rest) = rest.split_once('#').unwrap();
    let (incarnation, cluster) = rest.split_once('@').unwrap();
    Unit::Instance {
        agent: agent.into(),
        instance: id.into(),
        incarnation: incarnation.parse().unwrap(),
        cluster: cluster.into(),
    }
}

fn replica(agent: &str, number: u32) -> Unit {
    Unit::Replica { agent: agent.into(), number }
}

fn desired(now: Instant, started: bool, instances: &[&str]) -> Desired {
    let instances = instances.iter().map(|text| match instance(text) {
        Unit::Instance { agent, instance, incarnation, cluster } => {
            (instance, InstanceSeen { agent, incarnation, cluster })
        }
        Unit::Replica { .. } => unreachable!(),
    });
    Desired { cluster: "c".into(), started, instances: instances.collect(), ..Desired::unknown(now) }
}

/// The actions, without those of the agents that every plan has.
fn actions(plan: &Plan) -> Vec<String> {
    let mut actions: Vec<String> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Start(unit) if unit.agent() == "Shared" => None,
            Action::Scale { .. } => None,
            Action::Start(unit) => Some(format!("start {unit}")),
            Action::Stop(unit) => Some(format!("stop {unit}")),
        })
        .collect();
    actions.sort();
    actions
}

fn reconciler() -> Reconciler {
    Reconciler::new(BackoffSettings::default(), GRACE)
}

#[test]
fn what_is_missing_starts_and_what_is_left_over_stops() {
    type Case<'a> = (&'a str, bool, &'a [&'a str], &'a [(&'a str, UnitState)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("nothing", true, &[], &[], &[]),
        ("a new instance", true, &["A/i#1@c"], &[], &["start A/i#1"]),
        ("before the mark too", false, &["A/i#1@c"], &[], &["start A/i#1"]),
        ("it runs already", true, &["A/i#1@c"], &[("A/i#1@c", RUNNING)], &[]),
        ("an instance is gone", true, &[], &[("A/i#1@c", RUNNING)], &["stop A/i#1"]),
        ("not before the mark", false, &[], &[("A/i#1@c", RUNNING)], &[]),
        ("it was told already", true, &[], &[("A/i#1@c", STOPPING)], &[]),
        ("what has ended is cleared away", true, &[], &[("A/i#1@c", ENDED)], &["stop A/i#1"]),
        ("another life of it", true, &["A/i#2@c"], &[("A/i#1@c", RUNNING)], &["start A/i#2", "stop A/i#1"]),
        (
            "the same id, of another agent",
            true,
            &["A/i#1@c"],
            &[("Never/i#1@c", RUNNING)],
            &["start A/i#1", "stop Never/i#1"],
        ),
        ("no template names it", true, &["Unknown/i#1@c", "A/j#1@c"], &[], &["start A/j#1"]),
        (
            "its template is gone",
            true,
            &["Unknown/i#1@c"],
            &[("Unknown/i#1@c", RUNNING)],
            &["stop Unknown/i#1"],
        ),
        (
            "its agent is shared now",
            true,
            &["Shared/i#1@c"],
            &[("Shared/i#1@c", RUNNING)],
            &["stop Shared/i#1"],
        ),
        ("it said that all went well", true, &["Once/i#1@c"], &[("Once/i#1@c", SUCCEEDED)], &[]),
        ("it may not start again", true, &["Never/i#1@c"], &[("Never/i#1@c", ENDED)], &[]),
    ];
    for (name, started, instances, running, expected) in cases {
        let now = Instant::now();
        let actual: Actual = running.iter().map(|(unit, state)| (instance(unit), *state)).collect();
        let plan = reconciler().plan(&desired(now, *started, instances), &templates(), &actual, now);
        assert_eq!(actions(&plan), *expected, "{name}");
    }
}

#[test]
fn a_plan_that_was_carried_out_leaves_nothing_to_do() {
    let now = Instant::now();
    let mut reconciler = reconciler();
    let desired = desired(now, true, &["A/i#1@c", "A/j#4@c", "Never/k#1@c"]);
    let plan = reconciler.plan(&desired, &templates(), &Actual::new(), now);
    let actual: Actual = plan
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Start(unit) => Some((unit, RUNNING)),
            _ => None,
        })
        .collect();
    assert_eq!(actual.len(), 5);
    let plan = reconciler.plan(&desired, &templates(), &actual, now);
    assert_eq!(plan.actions, [Action::Scale { agent: "Scaled".into(), replicas: 1 }]);
    assert_eq!(plan.again, None);
}

#[test]
fn what_ended_by_itself_starts_again_after_a_while() {
    let mut now = Instant::now();
    let mut reconciler = reconciler();
    let wanted = ["A/i#1@c", "Once/j#1@c"];
    let desired = desired(now, true, &wanted);
    let ended: Actual = wanted.iter().map(|unit| (instance(unit), ENDED)).collect();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let plan = reconciler.plan(&desired, &templates(), &ended, now);
        assert_eq!(actions(&plan), [""; 0]);
        let again = plan.again.expect("it says when");
        waits.push((again - now).as_millis());
        now = again;
        let plan = reconciler.plan(&desired, &templates(), &ended, now);
        assert_eq!(actions(&plan), ["start A/i#1", "start Once/j#1"]);
        // It runs, and ends again.
        let running = ended.keys().map(|unit| (unit.clone(), RUNNING)).collect();
        assert_eq!(actions(&reconciler.plan(&desired, &templates(), &running, now)), [""; 0]);
    }
    assert_eq!(waits, [200, 400, 800, 1600]);
}

#[test]
fn a_start_that_fails_is_tried_again_after_a_while() {
    let now = Instant::now();
    let mut reconciler = reconciler();
    let desired = desired(now, true, &["A/i#1@c"]);
    let plan = reconciler.plan(&desired, &templates(), &Actual::new(), now);
    assert_eq!(actions(&plan), ["start A/i#1"]);
    reconciler.start_failed(&instance("A/i#1@c"), now);
    let plan = reconciler.plan(&desired, &templates(), &Actual::new(), now);
    assert_eq!(actions(&plan), [""; 0]);
    let again = plan.again.expect("it says when");
    let plan = reconciler.plan(&desired, &templates(), &Actual::new(), again);
    assert_eq!(actions(&plan), ["start A/i#1"]);
}

#[test]
fn what_another_fabric_had_started_has_a_time_of_grace() {
    let now = Instant::now();
    let mut reconciler = reconciler();
    // The Fabric of before has told of i; this one knows only of an i of its own.
    let desired = desired(now, true, &["A/i#1@c"]);
    let actual: Actual = [(instance("A/i#1@before"), RUNNING), (instance("A/j#7@before"), RUNNING)].into();
    let plan = reconciler.plan(&desired, &templates(), &actual, now);
    assert_eq!(actions(&plan), ["start A/i#1"]);
    assert_eq!(plan.again, Some(now + GRACE));
    let plan = reconciler.plan(&desired, &templates(), &actual, now + GRACE);
    assert_eq!(actions(&plan), ["start A/i#1", "stop A/i#1", "stop A/j#7"]);
}

#[test]
fn what_was_told_before_the_fabric_changed_is_wanted_until_the_mark() {
    let now = Instant::now();
    let desired = desired(now, true, &["A/i#1@before"]);
    let actual: Actual = [(instance("A/i#1@before"), RUNNING)].into();
    let plan = reconciler().plan(&desired, &templates(), &actual, now + GRACE * 2);
    assert_eq!(actions(&plan), [""; 0]);
}

#[test]
fn replicas_are_as_many_as_the_template_says() {
    let now = Instant::now();
    for (templates, running, expected) in [
        (
            templates(),
            &[][..],
            vec![Action::Start(replica("Shared", 0)), Action::Start(replica("Shared", 1))],
        ),
        (templates(), &[0], vec![Action::Start(replica("Shared", 1))]),
        (
            templates(),
            &[0, 1, 2, 7],
            vec![Action::Stop(replica("Shared", 2)), Action::Stop(replica("Shared", 7))],
        ),
        (Templates::new(), &[0], vec![Action::Stop(replica("Shared", 0))]),
    ] {
        // Also before the mark: replicas do not depend on what the Fabric tells.
        for started in [false, true] {
            let actual = running.iter().map(|number| (replica("Shared", *number), RUNNING)).collect();
            let mut plan = reconciler().plan(&desired(now, started, &[]), &templates, &actual, now);
            plan.actions.retain(|action| !matches!(action, Action::Scale { .. }));
            assert_eq!(plan.actions, expected, "{running:?} {started}");
        }
    }
}

#[test]
fn scaled_agents_follow_the_load_within_bounds() {
    let now = Instant::now();
    for (load, expected) in [(0, 1), (1, 1), (10, 1), (11, 2), (50, 5), (51, 5), (u64::MAX, 5)] {
        let mut desired = desired(now, true, &[]);
        desired.load.insert("Scaled".into(), load);
        let plan = reconciler().plan(&desired, &templates(), &Actual::new(), now);
        let scale = Action::Scale { agent: "Scaled".into(), replicas: expected };
        assert!(plan.actions.contains(&scale), "{load}: {:?}", plan.actions);
    }
}

#[test]
fn the_report_names_agents_without_a_template() {
    let now = Instant::now();
    let desired = desired(now, true, &["Lost/i#1@c", "Lost/j#1@c", "A/k#1@c"]);
    let actual = [(instance("A/k#1@c"), RUNNING), (instance("A/l#1@c"), STOPPING)].into();
    let plan = reconciler().plan(&desired, &templates(), &actual, now);
    assert_eq!(plan.report.unknown().collect::<Vec<_>>(), [("Lost", 2)]);
    let expected =
        AgentReport { has_template: true, instances: 1, wanted: 1, running: 1, stopping: 1, ended: 0 };
    assert_eq!(plan.report.agents["A"], expected);
}

#[test]
fn what_is_no_longer_wanted_is_forgotten() {
    let now = Instant::now();
    let mut reconciler = reconciler();
    let unit = instance("A/i#1@c");
    reconciler.start_failed(&unit, now);
    assert_eq!(reconciler.failures(&unit), 1);
    reconciler.plan(&desired(now, true, &[]), &templates(), &Actual::new(), now);
    assert_eq!(reconciler.failures(&unit), 0);
}
