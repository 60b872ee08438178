//! What a container finds in its file system beside its image.

use serde_json::{Map, Value, json};

use super::project::Project;
use super::syntax;
use super::template::Container;
use super::translation::bytes;

/// What can be said of a volume, by its type.
const OPTIONS: &[(&str, &[&str])] = &[
    ("bind", &["create_host_path", "propagation", "selinux"]),
    ("tmpfs", &["mode", "size"]),
    ("volume", &["nocopy", "subpath"]),
];

/// Adds to a list of the host's configuration.
pub(super) fn add(host: &mut Map<String, Value>, list: &str, entry: Value) {
    if let Value::Array(entries) = host.entry(list).or_insert_with(|| json!([])) {
        entries.push(entry);
    }
}

pub(super) fn volumes(
    project: &Project,
    value: &Value,
    container: &mut Container,
    host: &mut Map<String, Value>,
) -> Result<(), String> {
    for volume in value.as_array().ok_or("it is no list")? {
        match volume {
            Value::Object(volume) => long_volume(project, volume, container, host)?,
            other => short_volume(project, &syntax::text(other)?, container, host)?,
        }
    }
    Ok(())
}

/// `source:target:mode`, as the first generation of Compose prints.
fn short_volume(
    project: &Project,
    text: &str,
    container: &mut Container,
    host: &mut Map<String, Value>,
) -> Result<(), String> {
    match text.split_once(':') {
        None => anonymous(container, text),
        Some((source, _)) if source.starts_with('/') => add(host, "Binds", text.into()),
        Some((key, rest)) => {
            let name = project.real_name("volumes", key)?;
            add(host, "Binds", format!("{name}:{rest}").into());
            container.volumes.push(name);
        }
    }
    Ok(())
}

/// A volume of each container alone, which goes with it.
fn anonymous(container: &mut Container, target: &str) {
    if let Value::Object(volumes) = container.body.entry("Volumes").or_insert_with(|| json!({})) {
        volumes.insert(target.to_owned(), json!({}));
    }
}

fn long_volume(
    project: &Project,
    volume: &Map<String, Value>,
    container: &mut Container,
    host: &mut Map<String, Value>,
) -> Result<(), String> {
    const KNOWN: &[&str] =
        &["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs"];
    if let Some(field) = volume.keys().find(|field| !KNOWN.contains(&field.as_str())) {
        return Err(format!("{field} is not passed on to containers of agents"));
    }
    for (kind, known) in OPTIONS {
        let mut options = volume.get(*kind).and_then(Value::as_object).into_iter().flatten();
        if let Some((option, _)) =
            options.find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()))
        {
            return Err(format!("{option} of {kind} is not passed on to containers of agents"));
        }
    }
    let field = |name: &str| volume.get(name).map(syntax::text).transpose();
    let option = |kind: &str, name: &str| volume.get(kind).and_then(|options| options.get(name)).cloned();
    let target = field("target")?.ok_or("a volume has no target")?;
    let read_only = volume.get("read_only").map(syntax::truth).transpose()?.unwrap_or_default();
    let mut mount = json!({"Target": target, "ReadOnly": read_only});
    match (volume.get("type").and_then(Value::as_str), field("source")?) {
        (Some("bind"), Some(source)) => {
            let creates =
                option("bind", "create_host_path").is_none_or(|creates| creates == true || creates == "true");
            let selinux = option("bind", "selinux");
            let propagation = option("bind", "propagation");
            if creates || selinux.is_some() {
                // Only in this form the engine makes a folder that is not there.
                let mut options = vec![if read_only { "ro" } else { "rw" }];
                options.extend([&selinux, &propagation].into_iter().flatten().filter_map(Value::as_str));
                add(host, "Binds", format!("{source}:{target}:{}", options.join(",")).into());
                return Ok(());
            }
            mount["Type"] = "bind".into();
            mount["Source"] = source.into();
            if let Some(propagation) = propagation {
                mount["BindOptions"] = json!({"Propagation": propagation});
            }
        }
        (Some("volume"), None) => {
            anonymous(container, &target);
            return Ok(());
        }
        (Some("volume"), Some(key)) => {
            let name = project.real_name("volumes", &key)?;
            mount["Type"] = "volume".into();
            mount["Source"] = name.as_str().into();
            mount["VolumeOptions"] = json!({"NoCopy": option("volume", "nocopy").unwrap_or(false.into())});
            if let Some(subpath) = option("volume", "subpath") {
                mount["VolumeOptions"]["Subpath"] = subpath;
            }
            container.volumes.push(name);
        }
        (Some("tmpfs"), _) => {
            mount["Type"] = "tmpfs".into();
            if let Some(size) = option("tmpfs", "size") {
                mount["TmpfsOptions"]["SizeBytes"] = bytes(&size)?;
            }
            if let Some(mode) = option("tmpfs", "mode") {
                mount["TmpfsOptions"]["Mode"] = syntax::number(&mode)?.into();
            }
        }
        (kind, source) => {
            let (kind, source) = (kind.unwrap_or_default(), source.unwrap_or_default());
            return Err(format!("{source:?} of type {kind:?} is not passed on to containers of agents"));
        }
    }
    add(host, "Mounts", mount);
    Ok(())
}

/// Secrets and configurations, which Compose mounts from files of the host.
pub(super) fn files(
    project: &Project,
    kind: &str,
    value: &Value,
    host: &mut Map<String, Value>,
) -> Result<(), String> {
    for entry in value.as_array().ok_or("it is no list")? {
        let field = |name: &str| entry.get(name).map(syntax::text).transpose();
        let source = match entry {
            Value::Object(_) => field("source")?.ok_or("an entry has no source")?,
            other => syntax::text(other)?,
        };
        let file =
            project.shared(kind, &source).and_then(|shared| shared.get("file")).and_then(Value::as_str);
        let file = file.ok_or_else(|| format!("{source} is not a file; others are not passed on"))?;
        let target = match (field("target")?, kind) {
            (Some(target), _) if target.starts_with('/') => target,
            (target, "secrets") => format!("/run/secrets/{}", target.unwrap_or(source)),
            (target, _) => format!("/{}", target.unwrap_or(source)),
        };
        add(host, "Mounts", json!({"Type": "bind", "Source": file, "Target": target, "ReadOnly": true}));
    }
    Ok(())
}
