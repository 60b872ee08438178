//! One container of one instance.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::template::{STOP_TIMEOUT, Service};
use crate::model::{Unit, UnitState};
use crate::names;

/// On a service: the agent, if the service is not named like it. On a container: the agent.
pub(super) const AGENT: &str = "perper.dev/agent";
/// On a service: whether each instance has a container, or Compose runs those that share all instances.
pub(super) const MODE: &str = "perper.dev/mode";
const INSTANCE: &str = "perper.dev/instance";
const INCARNATION: &str = "perper.dev/incarnation";
const CLUSTER: &str = "perper.dev/cluster";

/// Labels by which Compose knows its containers. Those of agents are like those of `docker compose run`: `up` leaves
/// them alone, and `down` removes them with the rest of the project.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const NUMBER: &str = "com.docker.compose.container-number";

/// The labels by which containers of agents are found, as the engine's filters want them.
pub(super) fn filter(project: &str) -> Value {
    json!([AGENT, INSTANCE, INCARNATION, CLUSTER, format!("{PROJECT}={project}")])
}

/// The name of a unit's container. It follows from the unit, so that not even two Scalers would start one twice.
pub(super) fn name(project: &str, unit: &Unit) -> String {
    format!("{project}-{}", names::name(unit))
}

/// The request that makes the container of a unit, without its networks but the first.
pub(super) fn body(
    unit: &Unit,
    project: &str,
    service: &Service,
    fabric: &[(String, String)],
) -> Result<Map<String, Value>, String> {
    let container = service.container.as_ref().map_err(Clone::clone)?;
    let Unit::Instance { agent, instance, incarnation, cluster } = unit else {
        return Err("replicas are Compose's to run".to_owned());
    };
    // What a service says itself of where the Fabric is stands: an address may mean another machine in a container.
    let mut environment: BTreeMap<&str, &str> = BTreeMap::new();
    environment.extend(fabric.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment.extend(container.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment.extend([("X_PERPER_AGENT", agent.as_str()), ("X_PERPER_INSTANCE", instance.as_str())]);
    let incarnation = incarnation.to_string();
    let mut labels = container.labels.clone();
    let ours = [
        (AGENT, agent.as_str()),
        (INSTANCE, instance),
        (INCARNATION, &incarnation),
        (CLUSTER, cluster),
        (PROJECT, project),
        (SERVICE, &service.name),
        (ONE_OFF, "True"),
        (NUMBER, "1"),
    ];
    labels.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut body = container.body.clone();
    let environment: Vec<String> =
        environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    body.insert("Env".to_owned(), environment.into());
    body.insert("Labels".to_owned(), json!(labels));
    if let Some((network, endpoint)) = container.networks.first() {
        body.insert("NetworkingConfig".to_owned(), json!({"EndpointsConfig": {network: endpoint}}));
    }
    Ok(body)
}

/// A container, as a listing has it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) unit: Unit,
    /// `running`, `exited` and the like.
    state: String,
}

impl Listed {
    /// What a listing says of a container; none if the container is nobody's, such as one that was made of an image that
    /// has inherited our labels.
    pub(super) fn read(entry: &Value, project: &str) -> Option<Listed> {
        let label = |name: &str| entry.get("Labels")?.get(name)?.as_str().map(str::to_owned);
        let unit = Unit::Instance {
            agent: label(AGENT)?,
            instance: label(INSTANCE)?,
            incarnation: label(INCARNATION)?.parse().ok()?,
            cluster: label(CLUSTER)?,
        };
        let name = format!("/{}", name(project, &unit));
        let names = entry.get("Names")?.as_array()?;
        let text = |field: &str| entry.get(field)?.as_str().map(str::to_owned);
        names.iter().any(|known| *known == name).then_some(Listed {
            id: text("Id")?,
            unit,
            state: text("State")?,
        })
    }

    /// How it stands; none if that has to be asked for, because it has ended.
    pub(super) fn state(&self) -> Option<UnitState> {
        match self.state.as_str() {
            "exited" | "dead" => None,
            // Whoever made it did not come to start it.
            "created" => Some(UnitState::Ended { success: false, ran_for: Duration::ZERO }),
            "removing" => Some(UnitState::Stopping),
            _ => Some(UnitState::Running),
        }
    }
}

/// How a container stands, as the engine tells in detail.
pub(super) fn state(details: &Value) -> UnitState {
    let state = details.get("State").unwrap_or(&Value::Null);
    if state.get("Running") == Some(&Value::Bool(true)) {
        return UnitState::Running;
    }
    let time = |field: &str| state.get(field)?.as_str()?.parse::<Timestamp>().ok();
    let ran_for = match (time("StartedAt"), time("FinishedAt")) {
        // A container that has never ended has ended in the year 1.
        (Some(start), Some(end)) => end.duration_since(start).try_into().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    UnitState::Ended { success: state.get("ExitCode").and_then(Value::as_i64) == Some(0), ran_for }
}

/// How long a container has from its signal to its end by force, as the engine tells in detail.
pub(super) fn grace(details: &Value) -> Duration {
    let seconds = details.pointer("/Config/StopTimeout").and_then(Value::as_i64).unwrap_or(STOP_TIMEOUT);
    // A negative one has no end.
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u32::MAX.into()))
}

/// What an event tells: what has happened, and to which container.
pub(super) fn told(event: &Value) -> (&str, Option<&str>) {
    let action = event.get("Action").and_then(Value::as_str).unwrap_or_default();
    (action, event.pointer("/Actor/ID").and_then(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(unit: &Unit, state: &str) -> Value {
        let Unit::Instance { agent, instance, incarnation, cluster } = unit else { unreachable!() };
        json!({
            "Id": "0123", "Names": [format!("/shop-{}", names::name(unit))], "State": state,
            "Labels": {AGENT: agent, INSTANCE: instance, INCARNATION: incarnation.to_string(), CLUSTER: cluster},
        })
    }

    fn unit() -> Unit {
        Unit::Instance { agent: "A b".into(), instance: "i/1".into(), incarnation: 3, cluster: "c".into() }
    }

    #[test]
    fn a_container_says_which_unit_it_is() {
        let listed = Listed::read(&entry(&unit(), "running"), "shop").expect("it is ours");
        assert_eq!((listed.id.as_str(), &listed.unit), ("0123", &unit()));
        // Somebody else's, which has inherited the labels of an image.
        let mut other = entry(&unit(), "running");
        other["Names"] = json!(["/brave_curie"]);
        assert!(Listed::read(&other, "shop").is_none());
        assert!(Listed::read(&json!({}), "shop").is_none());
    }

    #[test]
    fn how_a_container_stands_is_read_from_its_state() {
        let never = UnitState::Ended { success: false, ran_for: Duration::ZERO };
        for (state, expected) in [
            ("created", Some(never)),
            ("running", Some(UnitState::Running)),
            ("paused", Some(UnitState::Running)),
            ("restarting", Some(UnitState::Running)),
            ("removing", Some(UnitState::Stopping)),
            ("exited", None),
            ("dead", None),
        ] {
            assert_eq!(
                Listed::read(&entry(&unit(), state), "shop").expect("ours").state(),
                expected,
                "{state}"
            );
        }
        let ended = |state: Value| super::state(&json!({"State": state}));
        assert_eq!(ended(json!({"Running": true, "ExitCode": 0})), UnitState::Running);
        assert_eq!(
            ended(
                json!({"ExitCode": 0, "StartedAt": "2026-02-28T23:59:30Z", "FinishedAt": "2026-03-01T00:01:00.5Z"})
            ),
            UnitState::Ended { success: true, ran_for: Duration::from_millis(90_500) }
        );
        // Podman tells the time of its place.
        assert_eq!(
            ended(json!({
                "ExitCode": 1,
                "StartedAt": "2026-11-25T01:00:00.5+02:00",
                "FinishedAt": "2026-11-24T23:00:01.5Z",
            })),
            UnitState::Ended { success: false, ran_for: Duration::from_secs(1) }
        );
        assert_eq!(
            ended(json!({"StartedAt": "2026-02-28T23:59:30Z", "FinishedAt": "0001-01-01T00:00:00Z"})),
            never
        );
        assert_eq!(ended(json!({"StartedAt": "2026-11-25", "FinishedAt": "now"})), never);
        assert_eq!(ended(json!({"ExitCode": 137, "StartedAt": "0001-01-01T00:00:00Z"})), never);
        assert_eq!(super::state(&json!({})), never);
    }

    #[test]
    fn a_container_has_the_time_to_stop_that_it_was_made_with() {
        for (config, seconds) in [
            (json!({"StopTimeout": 90}), 90),
            (json!({"StopTimeout": 0}), 0),
            (json!({"StopTimeout": null}), 10),
            (json!({}), 10),
            (json!({"StopTimeout": -1}), u32::MAX.into()),
        ] {
            assert_eq!(grace(&json!({"Config": config})), Duration::from_secs(seconds));
        }
    }
}
