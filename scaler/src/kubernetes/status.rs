//! What a resource says of how its agent stands.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::template::{PerperAgent, PerperAgentStatus};

/// The one condition.
const READY: &str = "Ready";

/// What a status is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) instances: usize,
    pub(super) wanted: usize,
    pub(super) ready: usize,
    /// Another resource for the same agent counts, and this one does not.
    pub(super) superseded_by: Option<String>,
    /// Why what should run could not be started.
    pub(super) problem: Option<String>,
}

/// The status that a resource should have; none if it has it already.
pub(super) fn status(resource: &PerperAgent, facts: &Facts, now: Timestamp) -> Option<PerperAgentStatus> {
    let (ready, reason, message) = if let Some(other) = &facts.superseded_by {
        (false, "Superseded", format!("PerperAgent {other} is older and runs the same agent"))
    } else if let Some(problem) = &facts.problem {
        (false, "Failing", problem.clone())
    } else if facts.ready < facts.wanted {
        (false, "Progressing", format!("{} of {} Pods are ready", facts.ready, facts.wanted))
    } else {
        (true, "AllReady", format!("{} Pods are ready", facts.ready))
    };
    let before = resource.status.as_ref();
    let former =
        before.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == READY));
    let value = if ready { "True" } else { "False" };
    // The time of the last change of the condition, not of its text.
    let since = former
        .filter(|condition| condition.status == value)
        .map_or(Time(now), |condition| condition.last_transition_time.clone());
    let status = PerperAgentStatus {
        instances: u32::try_from(facts.instances).unwrap_or(u32::MAX),
        ready: u32::try_from(facts.ready).unwrap_or(u32::MAX),
        observed_generation: resource.metadata.generation,
        conditions: vec![Condition {
            type_: READY.to_owned(),
            status: value.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: resource.metadata.generation,
            last_transition_time: since,
        }],
    };
    (before != Some(&status)).then_some(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::template::PerperAgentSpec;

    #[test]
    fn a_status_says_what_is_and_is_written_once() {
        let spec: PerperAgentSpec = serde_json::from_value(json!({"agent": "A", "template": {}})).unwrap();
        let mut resource = PerperAgent::new("a", spec);
        resource.metadata.generation = Some(3);
        let times = [100, 200, 300, 400].map(|seconds| Timestamp::from_second(seconds).unwrap());
        let facts = |wanted, ready| Facts { instances: wanted, wanted, ready, ..Facts::default() };
        for (facts, now, expected) in [
            (facts(2, 1), times[0], Some(("False", "Progressing", times[0]))),
            (facts(2, 1), times[1], None),
            (facts(3, 1), times[1], Some(("False", "Progressing", times[0]))),
            (facts(3, 3), times[2], Some(("True", "AllReady", times[2]))),
            (
                Facts { problem: Some("no image".into()), ..facts(3, 3) },
                times[3],
                Some(("False", "Failing", times[3])),
            ),
            (
                Facts { superseded_by: Some("b".into()), ..Facts::default() },
                times[3],
                Some(("False", "Superseded", times[3])),
            ),
        ] {
            let status = status(&resource, &facts, now);
            let condition = status.as_ref().map(|status| &status.conditions[0]);
            let seen =
                condition.map(|it| (it.status.as_str(), it.reason.as_str(), it.last_transition_time.0));
            assert_eq!(seen, expected, "{facts:?}");
            if let Some(status) = status {
                assert_eq!(status.observed_generation, Some(3));
                resource.status = Some(status);
            }
        }
    }
}
