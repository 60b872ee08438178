//! One Pod, or one Deployment.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::template::{Additions, PerperAgent, complete};
use crate::model::{Unit, UnitState};
use crate::names;

/// Who made it, as `kubectl` and others look for.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "perper-scaler");
/// The agent, as far as labels can hold its name.
const AGENT: &str = "perper.dev/agent";
/// A hash of the unit: ids do not fit the rules of labels.
const INSTANCE_HASH: &str = "perper.dev/instance-hash";
/// The annotations that say exactly which unit a Pod is.
const EXACT_AGENT: &str = "perper.dev/agent";
const EXACT_INSTANCE: &str = "perper.dev/instance";
const EXACT_INCARNATION: &str = "perper.dev/incarnation";
const EXACT_CLUSTER: &str = "perper.dev/cluster";
/// What a Deployment was last made of.
pub(super) const APPLIED: &str = "perper.dev/applied";

/// The labels by which everything that the Scaler made is found.
pub(super) fn selector() -> String {
    format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)
}

/// The agent's name as a label's value: what does not fit is left out, and a hash says the rest.
fn label(agent: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let edges = |letter: char| !letter.is_ascii_alphanumeric();
    if (1..=63).contains(&agent.len())
        && agent.chars().all(fits)
        && !agent.starts_with(edges)
        && !agent.ends_with(edges)
    {
        return agent.to_owned();
    }
    let readable: String = agent.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("{readable}.{}", names::text_hash(agent)).trim_start_matches('.').to_owned()
}

fn owner(resource: &PerperAgent) -> Value {
    json!([resource.controller_owner_ref(&()).map(|owner| json!(owner)).unwrap_or_default()])
}

/// The Pod of an instance.
pub(super) fn pod(
    unit: &Unit,
    resource: &PerperAgent,
    environment: &[(String, String)],
) -> Result<Value, String> {
    let Unit::Instance { agent, instance, incarnation, cluster } = unit else {
        return Err("replicas are a Deployment's, not Pods of their own".to_owned());
    };
    let labels = [
        (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
        (AGENT.to_owned(), label(agent)),
        (INSTANCE_HASH.to_owned(), names::hash(unit)),
    ];
    let annotations = [
        (EXACT_AGENT, agent.clone()),
        (EXACT_INSTANCE, instance.clone()),
        (EXACT_INCARNATION, incarnation.to_string()),
        (EXACT_CLUSTER, cluster.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let additions = Additions {
        labels: labels.into(),
        annotations: annotations.into(),
        environment,
        identity: vec![("X_PERPER_AGENT", agent.clone()), ("X_PERPER_INSTANCE", instance.clone())],
    };
    let mut pod = complete(&resource.spec.template, additions)?;
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = names::name(unit).into();
    pod["metadata"]["namespace"] = resource.namespace().into();
    pod["metadata"]["ownerReferences"] = owner(resource);
    Ok(pod)
}

/// The name of the Deployment of a resource.
pub(super) fn deployment_name(resource: &PerperAgent) -> String {
    let name = resource.name_any();
    if name.len() <= 50 { format!("{name}-perper") } else { format!("perper-{}", names::text_hash(&name)) }
}

/// The Deployment of an agent that is shared, to be applied.
pub(super) fn deployment(
    resource: &PerperAgent,
    replicas: u32,
    environment: &[(String, String)],
) -> Result<Value, String> {
    let agent = &resource.spec.agent;
    let chosen: BTreeMap<String, String> =
        [("perper.dev/deployment".to_owned(), names::text_hash(&resource.name_any()))].into();
    let mut labels = chosen.clone();
    labels.insert(AGENT.to_owned(), label(agent));
    let additions = Additions {
        labels: labels.clone(),
        annotations: [(EXACT_AGENT.to_owned(), agent.clone())].into(),
        environment,
        identity: vec![("X_PERPER_AGENT", agent.clone())],
    };
    let template = complete(&resource.spec.template, additions)?;
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": chosen}, "template": template});
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(resource),
            "namespace": resource.namespace(),
            "labels": labels,
            "annotations": {APPLIED: names::text_hash(&spec.to_string())},
            "ownerReferences": owner(resource),
        },
        "spec": spec,
    }))
}

/// Which unit a Pod is; none if it is a replica, or nobody's.
pub(super) fn unit(pod: &Pod) -> Option<Unit> {
    let annotations = pod.annotations();
    Some(Unit::Instance {
        agent: annotations.get(EXACT_AGENT)?.clone(),
        instance: annotations.get(EXACT_INSTANCE)?.clone(),
        incarnation: annotations.get(EXACT_INCARNATION)?.parse().ok()?,
        cluster: annotations.get(EXACT_CLUSTER)?.clone(),
    })
}

/// How a Pod stands.
pub(super) fn state(pod: &Pod) -> UnitState {
    if pod.metadata.deletion_timestamp.is_some() {
        return UnitState::Stopping;
    }
    match phase(pod) {
        "Failed" => UnitState::Ended { success: false, ran_for: ran_for(pod) },
        "Succeeded" => UnitState::Ended { success: true, ran_for: ran_for(pod) },
        _ => UnitState::Running,
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Whether a Pod is ready to serve.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// How long a Pod ran: from its start to the end of its last container. One that never ran has none.
fn ran_for(pod: &Pod) -> Duration {
    let Some(status) = &pod.status else { return Duration::ZERO };
    let finished = status.container_statuses.iter().flatten().filter_map(|container| {
        container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|time| time.0)
    });
    match (status.start_time.as_ref(), finished.max()) {
        (Some(start), Some(end)) if end > start.0 => end.duration_since(start.0).unsigned_abs(),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod_with(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    #[test]
    fn labels_hold_what_they_can() {
        assert_eq!(label("Tokenizer"), "Tokenizer");
        for agent in ["a/b", "-a", "Ünïcode", "", &"x".repeat(255), "日本"] {
            let label = label(agent);
            assert!(label.len() <= 63, "{label}");
            assert!(label.starts_with(|first: char| first.is_ascii_alphanumeric()), "{label}");
            assert!(label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.'), "{label}");
        }
        assert_ne!(label("a/b"), label("a:b"));
    }

    #[test]
    fn how_a_pod_stands_is_read_from_its_phase() {
        for (status, expected) in [
            (json!({}), UnitState::Running),
            (json!({"phase": "Pending"}), UnitState::Running),
            (json!({"phase": "Running"}), UnitState::Running),
            (json!({"phase": "Unknown"}), UnitState::Running),
            (json!({"phase": "Failed"}), UnitState::Ended { success: false, ran_for: Duration::ZERO }),
            (
                json!({"phase": "Succeeded", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [
                    {"name": "a", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                     "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:01:30Z"}}}]}),
                UnitState::Ended { success: true, ran_for: Duration::from_secs(90) },
            ),
        ] {
            assert_eq!(state(&pod_with(status.clone())), expected, "{status}");
        }
        let mut going = pod_with(json!({"phase": "Running"}));
        going.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(state(&going), UnitState::Stopping);
    }
}
