//! What the stand-in keeps, and how that changes.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::apply;
use super::target::Target;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

pub(super) fn refuse<T>(code: u16, reason: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, reason, message: message.into() })
}

impl Refusal {
    pub(super) fn status(&self) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code,
               "reason": self.reason, "message": self.message, "metadata": {}})
    }
}

const DEFINITIONS: &str = "customresourcedefinitions";

/// (resource, namespace, name).
pub(super) type Key = (String, String, String);

pub(super) struct Change {
    pub(super) version: u64,
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

pub(super) struct Store {
    pub(super) objects: BTreeMap<Key, Value>,
    pub(super) version: u64,
    pub(super) changes: VecDeque<Change>,
    /// Changes up to this one are forgotten.
    pub(super) compacted: u64,
    uids: u64,
}

/// Where a store was.
pub(super) struct Mark {
    objects: BTreeMap<Key, Value>,
    version: u64,
    changes: usize,
}

impl Store {
    pub(super) fn new() -> Self {
        Store { objects: BTreeMap::new(), version: 1, changes: VecDeque::new(), compacted: 0, uids: 0 }
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.changes.clear();
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { objects: self.objects.clone(), version: self.version, changes: self.changes.len() }
    }

    /// As if nothing had happened since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.objects = mark.objects;
        self.version = mark.version;
        self.changes.truncate(mark.changes);
    }

    /// Whether it knows such resources: those of Kubernetes, and those that were defined.
    pub(super) fn serves(&self, target: &Target) -> bool {
        let group = target.api_version.split_once('/').map_or("", |(group, _)| group);
        if !group.contains('.') || group.ends_with(".k8s.io") {
            return true;
        }
        let name = format!("{}.{group}", target.resource);
        self.objects
            .get(&(DEFINITIONS.to_owned(), String::new(), name))
            .is_some_and(|definition| definition["status"]["conditions"][0]["type"] == "Established")
    }

    /// Puts an object, or takes it away.
    fn put(&mut self, key: &Key, after: Option<Value>) -> Value {
        self.version += 1;
        let before = self.objects.get(key).cloned();
        let after = after.map(|mut object| {
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            object
        });
        match &after {
            Some(object) => self.objects.insert(key.clone(), object.clone()),
            None => self.objects.remove(key),
        };
        let shown = after.clone().or_else(|| before.clone()).unwrap_or_default();
        self.changes.push_back(Change {
            version: self.version,
            resource: key.0.clone(),
            namespace: key.1.clone(),
            before,
            after,
        });
        shown
    }

    pub(super) fn get(&self, key: &Key) -> Result<Value, Refusal> {
        match self.objects.get(key) {
            Some(object) => Ok(object.clone()),
            None => refuse(404, "NotFound", format!("{} {:?} not found", key.0, key.2)),
        }
    }

    pub(super) fn create(&mut self, key: &Key, mut object: Value, manager: &str) -> Result<Value, Refusal> {
        if self.objects.contains_key(key) {
            return refuse(409, "AlreadyExists", format!("{} {:?} already exists", key.0, key.2));
        }
        validate(key, &object)?;
        if !key.1.is_empty() {
            let place = self.get(&("namespaces".to_owned(), String::new(), key.1.clone()))?;
            if place["metadata"]["deletionTimestamp"].is_string() {
                return refuse(403, "Forbidden", format!("namespace {} is being terminated", key.1));
            }
        }
        if key.0 == "pods" {
            object["status"] = json!({"phase": "Pending"});
        }
        self.uids += 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = format!("uid-{}", self.uids).into();
        if !key.1.is_empty() {
            metadata["namespace"] = key.1.clone().into();
        }
        metadata["generation"] = 1.into();
        // Old, so that what is made later is younger.
        metadata["creationTimestamp"] =
            format!("2026-01-01T{:02}:{:02}:{:02}Z", self.uids / 3600, self.uids / 60 % 60, self.uids % 60)
                .into();
        apply::note_update(&Value::Null, &mut object, manager);
        Ok(self.put(key, Some(object)))
    }

    /// Changes an object: the part that the subresource is, or everything but the status.
    pub(super) fn change(
        &mut self,
        key: &Key,
        subresource: Option<&str>,
        change: impl FnOnce(&Value) -> Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        let before = self.get(key)?;
        let changed = change(&before)?;
        let mut after = before.clone();
        match subresource {
            Some("status") => {
                after["status"] = changed["status"].clone();
                after["metadata"]["managedFields"] = changed["metadata"]["managedFields"].clone();
            }
            _ => {
                after = changed;
                after["status"] = before["status"].clone();
                for field in
                    ["uid", "namespace", "name", "creationTimestamp", "deletionTimestamp", "generation"]
                {
                    after["metadata"][field] = before["metadata"][field].clone();
                }
                validate(key, &after)?;
                if key.0 == "pods" && before["spec"] != after["spec"] {
                    return refuse(422, "Invalid", "the spec of a Pod cannot be changed");
                }
                if before["spec"] != after["spec"] {
                    let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                    after["metadata"]["generation"] = generation.into();
                }
            }
        }
        prune(&mut after);
        if before == after {
            return Ok(before);
        }
        if after["metadata"]["deletionTimestamp"].is_string() && !waits(key, &after) {
            return Ok(self.remove(key));
        }
        Ok(self.put(key, Some(after)))
    }

    /// A Pod is given to a node.
    pub(super) fn bind(&mut self, key: &Key, node: &Value) -> Result<Value, Refusal> {
        let mut pod = self.get(key)?;
        if pod["spec"]["nodeName"].is_string() {
            return refuse(409, "Conflict", "the Pod has a node");
        }
        pod["spec"]["nodeName"] = node.clone();
        Ok(self.put(key, Some(pod)))
    }

    pub(super) fn delete(&mut self, key: &Key, options: &Value) -> Result<Value, Refusal> {
        let object = self.get(key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if wanted.is_string() && *wanted != object["metadata"][field] {
                return refuse(409, "Conflict", format!("the precondition {field} does not hold"));
            }
        }
        let mut waits = waits(key, &object);
        if key.0 == "pods" && options["gracePeriodSeconds"] == 0 {
            waits = has_finalizers(&object);
        }
        if !waits {
            return Ok(self.remove(key));
        }
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return Ok(object);
        }
        let mut going = object;
        going["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z".into();
        Ok(self.put(key, Some(going)))
    }

    /// Takes an object away, and marks what it owns.
    fn remove(&mut self, key: &Key) -> Value {
        let removed = self.put(key, None);
        let uid = removed["metadata"]["uid"].clone();
        let owned: Vec<Key> = self
            .objects
            .iter()
            .filter(|(_, object)| {
                object["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in owned {
            let _ = self.delete(&key, &Value::Null);
        }
        removed
    }

    /// What controllers do. True if anything changed.
    pub(super) fn tick(&mut self) -> bool {
        let before = self.version;
        let controlled = |key: &&Key| ["deployments", "namespaces", DEFINITIONS].contains(&key.0.as_str());
        let keys: Vec<Key> = self.objects.keys().filter(controlled).cloned().collect();
        for key in keys {
            let Some(mut object) = self.objects.get(&key).cloned() else { continue };
            let is_going = object["metadata"]["deletionTimestamp"].is_string();
            match key.0.as_str() {
                "namespaces" if is_going => self.empty(&key),
                "namespaces" => {
                    let account = ("serviceaccounts".to_owned(), key.2.clone(), "default".to_owned());
                    if !self.objects.contains_key(&account) {
                        let account = (account, json!({"metadata": {"name": "default"}}));
                        self.create(&account.0, account.1, "controllers").expect("it is new");
                    }
                }
                DEFINITIONS if object["status"].is_null() => {
                    object["status"] = json!({"conditions": [{"type": "Established", "status": "True"}],
                        "acceptedNames": object["spec"]["names"], "storedVersions": ["v1alpha1"]});
                    self.put(&key, Some(object));
                }
                "deployments" if object["status"]["readyReplicas"] != object["spec"]["replicas"] => {
                    object["status"]["readyReplicas"] = object["spec"]["replicas"].clone();
                    self.put(&key, Some(object));
                }
                _ => {}
            }
        }
        self.version != before
    }

    /// Deletes what is in a namespace, and then the namespace.
    fn empty(&mut self, namespace: &Key) {
        let inside: Vec<Key> = self.objects.keys().filter(|key| key.1 == namespace.2).cloned().collect();
        if inside.is_empty() {
            self.remove(namespace);
        }
        for key in inside {
            let _ = self.delete(&key, &json!({}));
        }
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// Whether an object that is deleted stays until somebody has done something about it: who put a finalizer on it, the
/// node of a Pod, the controller of namespaces.
fn waits(key: &Key, object: &Value) -> bool {
    let with_node = key.0 == "pods" && object["spec"]["nodeName"].is_string();
    with_node || key.0 == "namespaces" || has_finalizers(object)
}

fn validate(key: &Key, object: &Value) -> Result<(), Refusal> {
    let template = match key.0.as_str() {
        "pods" => Some(&object["spec"]),
        "deployments" => Some(&object["spec"]["template"]["spec"]),
        _ => None,
    };
    let Some(spec) = template else { return Ok(()) };
    let containers = spec["containers"].as_array().cloned().unwrap_or_default();
    if containers.is_empty() || containers.iter().any(|container| !container["image"].is_string()) {
        return refuse(
            422,
            "Invalid",
            format!("{} {:?} is invalid: spec.containers[0].image: Required value", key.0, key.2),
        );
    }
    for (name, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if value.len() > 63 || !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return refuse(422, "Invalid", format!("label {name}={value:?} is invalid"));
        }
    }
    Ok(())
}

fn prune(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        if fields.get("status").is_some_and(Value::is_null) {
            fields.remove("status");
        }
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|_, value| !value.is_null());
        }
    }
}

/// Whether an object has the labels of a selector: `a=b,c in (d,e),f,!g`, of which controllers use the first.
pub(super) fn matches(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| {
        let labels = &object["metadata"]["labels"];
        match part.split_once('=') {
            Some((name, value)) => labels[name.trim_end_matches('!')] == value.trim_start_matches('='),
            None => labels[part].is_string(),
        }
    })
}
