//! The resource that says how an agent is run.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt as _, ResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{Mode, Restart, Template, Templates};
use crate::{Error, Result};

/// Executions for one replica where nothing is said.
const TARGET: u32 = 16;

/// How instances of one agent are run.
#[derive(CustomResource, Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "perper.dev",
    version = "v1alpha1",
    kind = "PerperAgent",
    namespaced,
    status = "PerperAgentStatus",
    shortname = "pa",
    printcolumn = r#"{"name": "Agent", "type": "string", "jsonPath": ".spec.agent"}"#,
    printcolumn = r#"{"name": "Mode", "type": "string", "jsonPath": ".spec.mode"}"#,
    printcolumn = r#"{"name": "Instances", "type": "integer", "jsonPath": ".status.instances"}"#,
    printcolumn = r#"{"name": "Ready", "type": "integer", "jsonPath": ".status.ready"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PerperAgentSpec {
    /// The agent, as applications name it.
    #[schemars(length(min = 1, max = 255))]
    pub agent: String,
    /// Whether each instance has a Pod of its own, or all share the replicas of a Deployment.
    #[serde(default)]
    pub mode: AgentMode,
    /// With mode Shared: never fewer replicas than this. 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<u32>,
    /// With mode Shared: never more replicas than this. As many as minReplicas if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
    /// With mode Shared: one replica for so many executions that are pending or under way. 16 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub executions_per_replica: Option<u32>,
    /// The template of the Pods, as in a Deployment. It is passed on whole, with labels, annotations and environment
    /// variables added.
    #[schemars(schema_with = "pod_template")]
    pub template: Value,
}

/// How instances are divided among Pods.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AgentMode {
    /// A Pod for each instance.
    #[default]
    PerInstance,
    /// A Deployment for all of them.
    Shared,
}

/// How the instances of an agent stand.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerperAgentStatus {
    /// Instances that the Fabric tells of.
    #[serde(default)]
    pub instances: u32,
    /// Pods that are ready.
    #[serde(default)]
    pub ready: u32,
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: whether everything runs that should.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// Whatever a Pod template of any version holds: the API server checks it when the Pod is made.
fn pod_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "The template of the Pods, as in a Deployment. It is passed on whole, with labels, annotations and environment variables added.",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// Conditions as every resource has them. (The crate that defines them can say this itself, at the price of a schema of
/// all of Kubernetes.)
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "`Ready`: whether everything runs that should.",
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string"},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string"},
                "message": {"type": "string"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "observedGeneration": {"type": "integer", "format": "int64"},
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// The definition of the resource, to be applied to a cluster.
pub fn crd_yaml() -> Result<String> {
    // JSON is YAML, and an order of fields that is always the same is worth more than fewer brackets.
    serde_json::to_string_pretty(&PerperAgent::crd())
        .map(|text| text + "\n")
        .map_err(|error| Error::backend("the definition of PerperAgent", error))
}

/// The resources that count, by agent: of several for one agent the oldest. The second list has the others.
pub(super) fn choose(
    resources: &[Arc<PerperAgent>],
) -> (BTreeMap<String, Arc<PerperAgent>>, Vec<Arc<PerperAgent>>) {
    let mut sorted: Vec<_> =
        resources.iter().filter(|resource| resource.metadata.deletion_timestamp.is_none()).collect();
    sorted.sort_by_key(|resource| {
        (resource.metadata.creation_timestamp.as_ref().map(|time| time.0), resource.name_any())
    });
    let (mut chosen, mut others) = (BTreeMap::new(), Vec::new());
    for resource in sorted {
        match chosen.entry(resource.spec.agent.clone()) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Arc::clone(resource));
            }
            std::collections::btree_map::Entry::Occupied(_) => others.push(Arc::clone(resource)),
        }
    }
    (chosen, others)
}

/// What the reconciler has to know.
pub(super) fn templates(chosen: &BTreeMap<String, Arc<PerperAgent>>) -> Templates {
    chosen.iter().map(|(agent, resource)| (agent.clone(), template(&resource.spec))).collect()
}

fn template(spec: &PerperAgentSpec) -> Template {
    let mode = match spec.mode {
        AgentMode::PerInstance => Mode::PerInstance,
        AgentMode::Shared => {
            let min = spec.min_replicas.unwrap_or(1);
            let max = spec.max_replicas.unwrap_or(min).max(min);
            Mode::Scaled { min, max, target: spec.executions_per_replica.unwrap_or(TARGET).max(1) }
        }
    };
    // Containers are restarted in place by the kubelet, where that is asked for; this is about Pods that have ended.
    let restart = match spec.template.pointer("/spec/restartPolicy").and_then(Value::as_str) {
        None | Some("Always") => Restart::Always,
        Some(_) => Restart::OnFailure,
    };
    Template { mode, restart }
}

/// What is added to a user's Pod template.
pub(super) struct Additions<'a> {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// Comes first, so that the user's own variables may refer to it. A name that the user gives keeps the user's
    /// value, but for those in `identity`.
    pub(super) environment: &'a [(String, String)],
    /// Who the process is: not for the user to say.
    pub(super) identity: Vec<(&'static str, String)>,
}

/// A user's Pod template with what is ours.
pub(super) fn complete(template: &Value, additions: Additions<'_>) -> Result<Value, String> {
    let mut template = template.clone();
    let root = template.as_object_mut().ok_or("spec.template is no object")?;
    let metadata = object(root, "metadata")?;
    for (field, values) in [("labels", additions.labels), ("annotations", additions.annotations)] {
        let place = object(metadata, field)?;
        place.extend(values.into_iter().map(|(name, value)| (name, Value::from(value))));
    }
    let spec = object(root, "spec")?;
    if spec.get("containers").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(
            "spec.template.spec.containers is empty; name the container that runs the agent".to_owned()
        );
    }
    for field in ["initContainers", "containers"] {
        let Some(containers) = spec.get_mut(field) else { continue };
        let containers = containers.as_array_mut().ok_or(format!("spec.template.spec.{field} is no list"))?;
        for container in containers {
            let container = container
                .as_object_mut()
                .ok_or(format!("spec.template.spec.{field} has an entry that is no object"))?;
            add_environment(container, additions.environment, &additions.identity)?;
        }
    }
    Ok(template)
}

fn add_environment(
    container: &mut Map<String, Value>,
    environment: &[(String, String)],
    identity: &[(&'static str, String)],
) -> Result<(), String> {
    let users = match container.remove("env") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(users)) => users,
        Some(_) => return Err("the env of a container is no list".to_owned()),
    };
    let named =
        |name: &str| users.iter().any(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    let entry = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut all: Vec<Value> = identity.iter().map(|(name, value)| entry(name, value)).collect();
    all.extend(environment.iter().filter(|(name, _)| !named(name)).map(|(name, value)| entry(name, value)));
    let is_ours = |user: &Value| {
        identity.iter().any(|(name, _)| user.get("name").and_then(Value::as_str) == Some(name))
    };
    all.extend(users.iter().filter(|user| !is_ours(user)).cloned());
    container.insert("env".to_owned(), Value::Array(all));
    Ok(())
}

fn object<'a>(parent: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Map<String, Value>, String> {
    let place = parent.entry(field).or_insert(Value::Null);
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    place.as_object_mut().ok_or(format!("{field} in spec.template is no object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn additions(environment: &[(String, String)]) -> Additions<'_> {
        Additions {
            labels: [("perper.dev/agent".to_owned(), "a".to_owned())].into(),
            annotations: BTreeMap::new(),
            environment,
            identity: vec![("X_PERPER_AGENT", "A".to_owned())],
        }
    }

    #[test]
    fn a_template_passes_through_whole() {
        let template = json!({
            "metadata": {"labels": {"team": "words"}, "annotations": {"a": "b"}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "i", "fieldOfALaterVersion": {"x": [1, 2]},
                     "env": [{"name": "MINE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                             {"name": "X_PERPER_AGENT", "value": "somebody else"},
                             {"name": "PERPER_FABRIC_ENDPOINT", "value": "https://mine"}]},
                    {"name": "beside", "image": "j"}
                ],
                "futureField": true
            }
        });
        let environment = [("PERPER_FABRIC_ENDPOINT".to_owned(), "http://ours".to_owned())];
        let completed = complete(&template, additions(&environment)).unwrap();
        let expected = json!({
            "metadata": {"labels": {"team": "words", "perper.dev/agent": "a"}, "annotations": {"a": "b"}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "i", "fieldOfALaterVersion": {"x": [1, 2]},
                     "env": [{"name": "X_PERPER_AGENT", "value": "A"},
                             {"name": "MINE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                             {"name": "PERPER_FABRIC_ENDPOINT", "value": "https://mine"}]},
                    {"name": "beside", "image": "j",
                     "env": [{"name": "X_PERPER_AGENT", "value": "A"},
                             {"name": "PERPER_FABRIC_ENDPOINT", "value": "http://ours"}]}
                ],
                "futureField": true
            }
        });
        assert_eq!(completed, expected);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (template, complaint) in [
            (json!([]), "spec.template is no object"),
            (json!({}), "containers is empty"),
            (json!({"spec": {"containers": []}}), "containers is empty"),
            (json!({"spec": {"containers": [1]}}), "no object"),
            (json!({"spec": {"containers": [{"env": 1}]}}), "no list"),
            (json!({"metadata": 1, "spec": {}}), "metadata in spec.template"),
        ] {
            let error = complete(&template, additions(&[])).expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_definition_keeps_what_it_does_not_know_of_templates() {
        let crd: Value = serde_json::from_str(&crd_yaml().unwrap()).unwrap();
        let version = &crd["spec"]["versions"][0];
        assert_eq!(
            (&crd["metadata"]["name"], &version["name"]),
            (&json!("perperagents.perper.dev"), &json!("v1alpha1"))
        );
        let template = version
            .pointer("/schema/openAPIV3Schema/properties/spec/properties/template")
            .expect("it is there");
        assert_eq!(template["x-kubernetes-preserve-unknown-fields"], json!(true));
        assert_eq!(version["subresources"], json!({"status": {}}));
    }

    /// What is deployed is what the code says.
    #[test]
    fn the_definition_that_is_deployed_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes/crd.json");
        let deployed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            deployed == crd_yaml().unwrap(),
            "{path} is not what `perper-scaler crd` prints; write that to it"
        );
    }

    #[test]
    fn of_several_for_one_agent_the_oldest_counts() {
        let resource = |name: &str, agent: &str, age: i64| {
            let mut resource = PerperAgent::new(
                name,
                PerperAgentSpec {
                    agent: agent.into(),
                    mode: AgentMode::PerInstance,
                    min_replicas: None,
                    max_replicas: None,
                    executions_per_replica: None,
                    template: json!({}),
                },
            );
            let time = jiff::Timestamp::from_second(1_000_000 - age).unwrap();
            resource.metadata.creation_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
            Arc::new(resource)
        };
        let mut going = (*resource("going", "B", 9)).clone();
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        let resources =
            [resource("young", "A", 1), resource("old", "A", 5), Arc::new(going), resource("b", "B", 2)];
        let (chosen, others) = choose(&resources);
        assert_eq!((chosen["A"].name_any(), chosen["B"].name_any()), ("old".to_owned(), "b".to_owned()));
        assert_eq!(others.iter().map(|other| other.name_any()).collect::<Vec<_>>(), ["young"]);
    }
}
