//! What the stand-in keeps, and how that changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand::prelude::*;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::apply;

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

/// How often the stand-in fails, of a thousand requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// An error, and nothing has happened.
    pub(crate) before: u32,
    /// An error, although it has happened.
    pub(crate) after: u32,
    /// A watch that breaks, of a thousand events.
    pub(crate) watches: u32,
    /// The history is compacted, of a thousand requests.
    pub(crate) compactions: u32,
}

/// A request that was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The name of the front that it came through.
    pub(crate) by: String,
    pub(crate) method: http::Method,
    pub(crate) resource: String,
    pub(crate) at: Instant,
    /// What it gave or wrote, where it succeeded.
    pub(crate) object: Option<Value>,
}

impl Request {
    /// Whether it was to change something.
    pub(crate) fn writes(&self) -> bool {
        self.method != http::Method::GET
    }
}

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
    pub(super) faults: Faults,
    pub(super) random: StdRng,
    /// Everything that was asked for, but for watches.
    pub(super) log: Vec<Request>,
    /// Nodes do nothing.
    pub(super) frozen: bool,
    uids: u64,
}

impl Store {
    pub(super) fn new(seed: u64) -> Self {
        Store {
            objects: BTreeMap::new(),
            version: 1,
            changes: VecDeque::new(),
            compacted: 0,
            faults: Faults::default(),
            random: StdRng::seed_from_u64(seed),
            log: Vec::new(),
            frozen: false,
            uids: 0,
        }
    }

    pub(super) fn fails(&mut self, per_thousand: u32) -> bool {
        per_thousand > 0 && self.random.random_ratio(per_thousand.min(1000), 1000)
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.changes.clear();
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
        self.uids += 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = format!("uid-{}", self.uids).into();
        metadata["namespace"] = key.1.clone().into();
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
        Ok(self.put(key, Some(after)))
    }

    pub(super) fn delete(&mut self, key: &Key, options: &Value) -> Result<Value, Refusal> {
        let object = self.get(key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if wanted.is_string() && *wanted != object["metadata"][field] {
                return refuse(409, "Conflict", format!("the precondition {field} does not hold"));
            }
        }
        // A Pod is ended by its node, and takes its time.
        let waits =
            key.0 == "pods" || object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
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

    /// What nodes and the controller of Deployments do. True if anything changed.
    pub(super) fn tick(&mut self) -> bool {
        if self.frozen {
            return false;
        }
        let before = self.version;
        let keys: Vec<Key> =
            self.objects.keys().filter(|key| key.0 == "pods" || key.0 == "deployments").cloned().collect();
        for key in keys {
            let Some(object) = self.objects.get(&key) else { continue };
            if key.0 == "pods" && object["metadata"]["deletionTimestamp"].is_string() {
                self.remove(&key);
            } else if key.0 == "pods" && object["status"]["phase"].is_null() {
                let mut object = object.clone();
                object["status"] = json!({"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
                    "conditions": [{"type": "Ready", "status": "True"}]});
                self.put(&key, Some(object));
            } else if key.0 == "deployments"
                && object["status"]["readyReplicas"] != object["spec"]["replicas"]
            {
                let mut object = object.clone();
                object["status"]["readyReplicas"] = object["spec"]["replicas"].clone();
                self.put(&key, Some(object));
            }
        }
        self.version != before
    }

    /// A node says how a Pod ended.
    pub(super) fn end_pod(&mut self, key: &Key, phase: &str) {
        if let Some(object) = self.objects.get(key) {
            let mut object = object.clone();
            object["status"]["phase"] = phase.into();
            object["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
            self.put(key, Some(object));
        }
    }
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
