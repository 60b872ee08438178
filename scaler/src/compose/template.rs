//! How the containers of an agent are made, as a service says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::engine::Version;
use super::mounts::{add, files, volumes};
use super::project::Project;
use super::translation::{CONTAINER, DEPLOY_LEFT_TO_COMPOSE, HOST, LEFT_TO_COMPOSE, bytes, nano_cpus};
use super::{syntax, unit};
use crate::model::{Mode, Restart, Template, Templates};
use crate::{Error, Result};

/// How long a container may take to stop, in seconds, where its service does not say: as Compose has it.
pub(super) const STOP_TIMEOUT: i64 = 10;

/// A service, as a template of containers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    /// Its name in the project.
    pub(super) name: String,
    /// What the reconciler has to know.
    pub(super) template: Template,
    /// The container; or what of the service cannot be had here. A service that is no agent may say what it likes.
    pub(super) container: Result<Container, String>,
}

/// What a container is made of, but for what tells it from others of its service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Container {
    /// The request that makes one.
    pub(super) body: Map<String, Value>,
    /// Variables of the service.
    pub(super) environment: BTreeMap<String, String>,
    /// Labels of the service.
    pub(super) labels: BTreeMap<String, String>,
    /// Networks and what is said of the place in each, the most important first.
    pub(super) networks: Vec<(String, Value)>,
    /// Volumes that have to be there.
    pub(super) volumes: Vec<String>,
    /// The platform of the image, if any is asked for.
    pub(super) platform: Option<String>,
}

impl Container {
    /// What an engine of that version of the API would leave out in silence.
    pub(super) fn beyond(&self, api: Version) -> Option<(&'static str, Version)> {
        let host = self.body.get("HostConfig").unwrap_or(&Value::Null);
        let mut mounts = host.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        let mut places = self.networks.iter().map(|(_, place)| place);
        let asked = [
            ("annotations", (1, 43), host.get("Annotations").is_some()),
            (
                "start_interval",
                (1, 44),
                self.body.get("Healthcheck").is_some_and(|check| check.get("StartInterval").is_some()),
            ),
            ("subpath", (1, 45), mounts.any(|mount| mount.pointer("/VolumeOptions/Subpath").is_some())),
            ("gw_priority", (1, 48), places.any(|place| place.get("GwPriority").is_some())),
        ];
        asked.into_iter().find_map(|(field, since, asked)| (asked && api < since).then_some((field, since)))
    }
}

/// The services of a project, by the agent that they are for.
pub(super) fn services(project: &Project) -> Result<BTreeMap<String, Service>> {
    let mut services: BTreeMap<String, Service> = BTreeMap::new();
    for (name, service) in project.services() {
        let wrong = |message: String| Error::template(format!("service {name}"), message);
        let labels = syntax::pairs(service.get("labels").unwrap_or(&Value::Null)).map_err(wrong)?;
        let agent = labels.get(unit::AGENT).cloned().flatten().unwrap_or_else(|| name.to_owned());
        let mode = mode(labels.get(unit::MODE).and_then(Option::as_deref)).map_err(wrong)?;
        let service = Service {
            name: name.to_owned(),
            template: Template { mode, restart: restart(service) },
            container: container(project, name, service),
        };
        if let Some(other) = services.insert(agent.clone(), service) {
            let message = format!(
                "it is for the agent {agent:?}, and so is {:?}; an agent has one service",
                other.name
            );
            return Err(wrong(message));
        }
    }
    Ok(services)
}

/// What the reconciler has to know.
pub(super) fn templates(services: &BTreeMap<String, Service>) -> Templates {
    services.iter().map(|(agent, service)| (agent.clone(), service.template)).collect()
}

fn mode(label: Option<&str>) -> Result<Mode, String> {
    match label {
        None | Some("PerInstance") => Ok(Mode::PerInstance),
        // Compose runs its containers; for the Scaler there is nothing to do.
        Some("Shared") => Ok(Mode::Replicas(0)),
        Some(other) => {
            Err(format!("the label {} is {other:?}; there are PerInstance and Shared", unit::MODE))
        }
    }
}

/// Compose restarts nothing unless it is asked to; an instance is there to be served, so here it is the other way round.
fn restart(service: &Value) -> Restart {
    let deployed = service.pointer("/deploy/restart_policy/condition");
    match service.get("restart").or(deployed).and_then(Value::as_str) {
        Some("no" | "none") => Restart::Never,
        Some(policy) if policy.starts_with("on-failure") => Restart::OnFailure,
        _ => Restart::Always,
    }
}

fn container(project: &Project, name: &str, service: &Value) -> Result<Container, String> {
    let service = service.as_object().ok_or("it is no mapping")?;
    let mut container = Container::default();
    let mut host = Map::new();
    for (field, value) in service.iter().filter(|(_, value)| !value.is_null()) {
        let known =
            |table: &'static [(&str, &'static str, _)]| table.iter().find(|(known, ..)| known == field);
        let failed = |message: String| format!("{field}: {message}");
        if let Some((_, engine, convert)) = known(CONTAINER) {
            container.body.insert((*engine).to_owned(), convert(value).map_err(failed)?);
        } else if let Some((_, engine, convert)) = known(HOST) {
            host.insert((*engine).to_owned(), convert(value).map_err(failed)?);
        } else {
            match field.as_str() {
                "environment" => {
                    let pairs = syntax::pairs(value).map_err(failed)?;
                    let given = |(name, value): (String, Option<String>)| Some((name, value?));
                    container.environment = pairs.into_iter().filter_map(given).collect();
                }
                "labels" => {
                    let pairs = syntax::pairs(value).map_err(failed)?;
                    let text = |(name, value): (String, Option<String>)| (name, value.unwrap_or_default());
                    container.labels = pairs.into_iter().map(text).collect();
                }
                "networks" => container.networks = networks(project, name, value).map_err(failed)?,
                "volumes" => volumes(project, value, &mut container, &mut host).map_err(failed)?,
                "secrets" | "configs" => files(project, field, value, &mut host).map_err(failed)?,
                "deploy" => deploy(value, &mut host).map_err(failed)?,
                "gpus" => requests(value, &mut host).map_err(failed)?,
                "platform" => container.platform = Some(syntax::text(value).map_err(failed)?),
                // The restart policy is the Scaler's to follow: one that the engine followed too would restart what is
                // to be replaced.
                "restart" => {}
                field if LEFT_TO_COMPOSE.contains(&field) || field.starts_with("x-") => {}
                _ => return Err(format!("{field} is not passed on to containers of agents; leave it out")),
            }
        }
    }
    match (container.body.contains_key("Image"), service.contains_key("build")) {
        (true, _) => {}
        (false, true) => {
            container.body.insert("Image".to_owned(), project.image(name).into());
        }
        (false, false) => return Err("it has no image".to_owned()),
    }
    if container.networks.is_empty() && !host.contains_key("NetworkMode") {
        container.networks = networks(project, name, &json!(["default"]))?;
    }
    if let Some((first, _)) = container.networks.first() {
        host.insert("NetworkMode".to_owned(), first.as_str().into());
    }
    container.body.entry("StopTimeout").or_insert(STOP_TIMEOUT.into());
    container.body.insert("HostConfig".to_owned(), host.into());
    Ok(container)
}

/// The networks of a service. The engine has names of its own for them.
fn networks(project: &Project, service: &str, value: &Value) -> Result<Vec<(String, Value)>, String> {
    let none = Value::Null;
    let keys: Vec<(&str, &Value)> = match value {
        Value::Array(keys) => keys.iter().filter_map(|key| Some((key.as_str()?, &none))).collect(),
        Value::Object(places) => places.iter().map(|(key, place)| (key.as_str(), place)).collect(),
        other => return Err(format!("{other} is neither a list nor a mapping")),
    };
    let mut networks = Vec::new();
    for (key, place) in keys {
        let mut endpoint = Map::new();
        let mut addresses = Map::new();
        let mut aliases = vec![service.to_owned()];
        let mut priority = 0;
        for (field, value) in place.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "aliases" => aliases.extend(syntax::list(value)?),
                "priority" => priority = syntax::number(value)?,
                "gw_priority" => {
                    drop(endpoint.insert("GwPriority".to_owned(), syntax::number(value)?.into()))
                }
                "driver_opts" => drop(endpoint.insert("DriverOpts".to_owned(), value.clone())),
                "ipv4_address" => drop(addresses.insert("IPv4Address".to_owned(), value.clone())),
                "ipv6_address" => drop(addresses.insert("IPv6Address".to_owned(), value.clone())),
                "link_local_ips" => drop(addresses.insert("LinkLocalIPs".to_owned(), value.clone())),
                field => return Err(format!("{field} of {key} is not passed on to containers of agents")),
            }
        }
        endpoint.insert("Aliases".to_owned(), aliases.into());
        if !addresses.is_empty() {
            endpoint.insert("IPAMConfig".to_owned(), addresses.into());
        }
        networks.push((priority, project.real_name("networks", key)?, Value::Object(endpoint)));
    }
    networks.sort_by(|(priority, name, _), (other, others, _)| {
        other.cmp(priority).then_with(|| name.cmp(others))
    });
    Ok(networks.into_iter().map(|(_, name, endpoint)| (name, endpoint)).collect())
}

fn deploy(value: &Value, host: &mut Map<String, Value>) -> Result<(), String> {
    for (field, value) in value.as_object().into_iter().flatten() {
        match field.as_str() {
            "resources" => resources(value, host).map_err(|message| format!("resources: {message}"))?,
            field if DEPLOY_LEFT_TO_COMPOSE.contains(&field) || field.starts_with("x-") => {}
            field => return Err(format!("{field} is not passed on to containers of agents")),
        }
    }
    Ok(())
}

fn resources(value: &Value, host: &mut Map<String, Value>) -> Result<(), String> {
    for (kind, amounts) in value.as_object().into_iter().flatten() {
        for (resource, amount) in amounts.as_object().into_iter().flatten() {
            let (name, amount) = match (kind.as_str(), resource.as_str()) {
                ("limits", "cpus") => ("NanoCpus", nano_cpus(amount)?),
                ("limits", "memory") => ("Memory", bytes(amount)?),
                ("limits", "pids") => ("PidsLimit", syntax::number(amount)?.into()),
                ("reservations", "memory") => ("MemoryReservation", bytes(amount)?),
                // Without a swarm there is nobody to keep them free.
                ("reservations", "cpus") => continue,
                ("reservations", "devices") => {
                    requests(amount, host)?;
                    continue;
                }
                _ => return Err(format!("{resource} of {kind} is not passed on to containers of agents")),
            };
            host.insert(name.to_owned(), amount);
        }
    }
    Ok(())
}

/// Devices that a driver chooses, such as graphics processors.
fn requests(value: &Value, host: &mut Map<String, Value>) -> Result<(), String> {
    let all = json!([{"count": -1}]);
    let entries = if value == "all" { &all } else { value };
    for entry in entries.as_array().ok_or("it is no list")? {
        let count = match entry.get("count") {
            None => None,
            Some(Value::String(all)) if all == "all" => Some(-1),
            Some(count) => Some(syntax::number(count)?),
        };
        let ids = syntax::list(entry.get("device_ids").unwrap_or(&Value::Null))?;
        let capabilities = match entry.get("capabilities") {
            Some(capabilities) => syntax::list(capabilities)?,
            None => vec!["gpu".to_owned()],
        };
        add(
            host,
            "DeviceRequests",
            json!({
                "Driver": entry.get("driver").cloned().unwrap_or("".into()),
                // Without either, all there are.
                "Count": count.unwrap_or(if ids.is_empty() { -1 } else { 0 }),
                "DeviceIDs": ids,
                "Capabilities": [capabilities],
                "Options": entry.get("options").cloned().unwrap_or(json!({})),
            }),
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
