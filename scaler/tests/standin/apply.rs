//! Server-side apply: who manages which field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What identifies elements of lists that are merged rather than replaced.
const KEYS: [&str; 3] = ["name", "type", "uid"];
/// What an object is, rather than a field of it.
const IDENTITY: [&str; 2] = ["apiVersion", "kind"];
const IDENTITY_METADATA: [&str; 7] =
    ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"];

type Path = Vec<String>;

fn key(list: &[Value]) -> Option<&'static str> {
    KEYS.into_iter().find(|key| !list.is_empty() && list.iter().all(|element| element[*key].is_string()))
}

fn is_identity(path: &[String]) -> bool {
    match path {
        [field] => IDENTITY.contains(&field.as_str()),
        [metadata, field] => metadata == "metadata" && IDENTITY_METADATA.contains(&field.as_str()),
        _ => false,
    }
}

/// Every field that has a value of its own.
fn leaves(value: &Value, path: &mut Path, found: &mut Vec<(Path, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name.clone());
                if !is_identity(path) {
                    leaves(value, path, found);
                }
                path.pop();
            }
        }
        Value::Array(list) if key(list).is_some() => {
            let key = key(list).unwrap();
            for element in list {
                path.push(format!("{key}={}", element[key].as_str().unwrap()));
                leaves(element, path, found);
                path.pop();
            }
        }
        leaf => found.push((path.clone(), leaf.clone())),
    }
}

fn all_leaves(value: &Value) -> Vec<(Path, Value)> {
    let mut found = Vec::new();
    leaves(value, &mut Path::new(), &mut found);
    found
}

fn get<'a>(mut value: &'a Value, path: &[String]) -> Option<&'a Value> {
    for step in path {
        value = match value {
            Value::Array(list) => {
                let (key, name) = step.split_once('=')?;
                list.iter().find(|element| element[key] == name)?
            }
            _ => value.get(step)?,
        };
    }
    Some(value)
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    match value {
        Value::Array(list) => {
            let Some((key, name)) = step.split_once('=') else { return };
            if let Some(place) = list.iter().position(|element| element[key] == name) {
                remove(&mut list[place], rest);
                // An element of which nothing but its name is left goes as a whole.
                if list[place].as_object().is_none_or(Map::is_empty) {
                    list.remove(place);
                }
            }
        }
        Value::Object(fields) => {
            if rest.is_empty() {
                fields.remove(step);
            } else if let Some(field) = fields.get_mut(step) {
                remove(field, rest);
                if field.as_object().is_some_and(Map::is_empty) {
                    fields.remove(step);
                }
            }
        }
        _ => {}
    }
}

pub(super) fn merge(target: &mut Value, config: &Value) {
    match (target, config) {
        (Value::Object(target), Value::Object(config)) => {
            for (name, value) in config {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(config))
            if key(config).is_some() && key(target) == key(config) =>
        {
            let key = key(config).unwrap();
            for element in config {
                match target.iter_mut().find(|known| known[key] == element[key]) {
                    Some(known) => merge(known, element),
                    None => target.push(element.clone()),
                }
            }
        }
        (target, config) => *target = config.clone(),
    }
}

/// A merge patch: null removes.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        let fields = target.as_object_mut().unwrap();
        if value.is_null() {
            fields.remove(name);
        } else {
            merge_patch(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn managed(object: &Value) -> Vec<(String, BTreeSet<String>)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let fields = entry["fieldsV1"].as_object().cloned().unwrap_or_default();
            (entry["manager"].as_str().unwrap_or_default().to_owned(), fields.keys().cloned().collect())
        })
        .collect()
}

fn set_managed(object: &mut Value, managed: Vec<(String, BTreeSet<String>)>) {
    let entries = managed.into_iter().filter(|(_, fields)| !fields.is_empty()).map(|(manager, fields)| {
        let fields: Map<String, Value> = fields.into_iter().map(|field| (field, json!({}))).collect();
        json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields})
    });
    object["metadata"]["managedFields"] = entries.collect();
}

/// Applies a configuration. An error names the fields that others manage.
pub(super) fn apply(
    existing: &Value,
    config: &Value,
    manager: &str,
    force: bool,
) -> Result<Value, Vec<String>> {
    let mut managers = managed(existing);
    let mine: BTreeSet<String> =
        managers.iter().filter(|(name, _)| name == manager).flat_map(|(_, fields)| fields.clone()).collect();
    managers.retain(|(name, _)| name != manager);
    let applied = all_leaves(config);
    let paths: BTreeSet<String> = applied.iter().map(|(path, _)| path.join("/")).collect();
    let mut conflicts = Vec::new();
    for (path, value) in &applied {
        let name = path.join("/");
        if get(existing, path).is_none_or(|current| current == value) {
            continue;
        }
        for (_, fields) in managers.iter_mut().filter(|(_, fields)| fields.contains(&name)) {
            if force {
                fields.remove(&name);
            } else {
                conflicts.push(name.clone());
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut object = existing.clone();
    for gone in mine.iter().filter(|field| !paths.contains(*field)) {
        if !managers.iter().any(|(_, fields)| fields.contains(gone)) {
            let path: Path = gone.split('/').map(str::to_owned).collect();
            remove(&mut object, &path);
        }
    }
    merge(&mut object, config);
    managers.push((manager.to_owned(), paths));
    set_managed(&mut object, managers);
    Ok(object)
}

/// A write other than apply: whoever makes it manages what it changes.
pub(super) fn note_update(before: &Value, after: &mut Value, manager: &str) {
    let changed: BTreeSet<String> = all_leaves(after)
        .into_iter()
        .filter(|(path, value)| get(before, path) != Some(value))
        .map(|(path, _)| path.join("/"))
        .collect();
    let mut managers = managed(before);
    for (_, fields) in &mut managers {
        fields.retain(|field| !changed.contains(field));
    }
    match managers.iter_mut().find(|(name, _)| name == manager) {
        Some((_, fields)) => fields.extend(changed),
        None => managers.push((manager.to_owned(), changed)),
    }
    set_managed(after, managers);
}
