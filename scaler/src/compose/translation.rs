//! From the words of a Compose file to those of the Docker Engine.
//!
//! What is in no table is refused, so that a container never lacks something that its service asks for.

use serde_json::{Map, Value, json};

use super::syntax;

type Convert = fn(&Value) -> Result<Value, String>;

/// Fields of a container.
pub(super) const CONTAINER: &[(&str, &str, Convert)] = &[
    ("command", "Cmd", command),
    ("domainname", "Domainname", text),
    ("entrypoint", "Entrypoint", command),
    ("healthcheck", "Healthcheck", health),
    ("hostname", "Hostname", text),
    ("image", "Image", text),
    ("stdin_open", "OpenStdin", truth),
    ("stop_grace_period", "StopTimeout", seconds),
    ("stop_signal", "StopSignal", text),
    ("tty", "Tty", truth),
    ("user", "User", text),
    ("working_dir", "WorkingDir", text),
];

/// Fields of how the host runs it.
pub(super) const HOST: &[(&str, &str, Convert)] = &[
    ("annotations", "Annotations", mapping),
    ("cap_add", "CapAdd", list),
    ("cap_drop", "CapDrop", list),
    ("cgroup", "CgroupnsMode", text),
    ("cgroup_parent", "CgroupParent", text),
    ("cpu_period", "CpuPeriod", microseconds),
    ("cpu_quota", "CpuQuota", microseconds),
    ("cpu_rt_period", "CpuRealtimePeriod", microseconds),
    ("cpu_rt_runtime", "CpuRealtimeRuntime", microseconds),
    ("cpu_shares", "CpuShares", number),
    ("cpus", "NanoCpus", nano_cpus),
    ("cpuset", "CpusetCpus", text),
    ("device_cgroup_rules", "DeviceCgroupRules", list),
    ("devices", "Devices", devices),
    ("dns", "Dns", list),
    ("dns_opt", "DnsOptions", list),
    ("dns_search", "DnsSearch", list),
    ("extra_hosts", "ExtraHosts", hosts),
    ("group_add", "GroupAdd", list),
    ("init", "Init", truth),
    ("ipc", "IpcMode", own_namespace),
    ("isolation", "Isolation", text),
    ("logging", "LogConfig", logging),
    ("mem_limit", "Memory", bytes),
    ("mem_reservation", "MemoryReservation", bytes),
    ("mem_swappiness", "MemorySwappiness", number),
    ("memswap_limit", "MemorySwap", bytes),
    ("network_mode", "NetworkMode", own_namespace),
    ("oom_kill_disable", "OomKillDisable", truth),
    ("oom_score_adj", "OomScoreAdj", number),
    ("pid", "PidMode", own_namespace),
    ("pids_limit", "PidsLimit", number),
    ("privileged", "Privileged", truth),
    ("read_only", "ReadonlyRootfs", truth),
    ("runtime", "Runtime", text),
    ("security_opt", "SecurityOpt", security),
    ("shm_size", "ShmSize", bytes),
    ("storage_opt", "StorageOpt", mapping),
    ("sysctls", "Sysctls", mapping),
    ("tmpfs", "Tmpfs", tmpfs),
    ("ulimits", "Ulimits", ulimits),
    ("userns_mode", "UsernsMode", text),
    ("uts", "UTSMode", text),
];

/// What only Compose needs to know: how images are made, in which order services start, how many containers a service
/// has. Ports and names would collide, as there are many containers of one service.
pub(super) const LEFT_TO_COMPOSE: &[&str] = &[
    "attach",
    "build",
    "container_name",
    "depends_on",
    "develop",
    "env_file",
    "expose",
    "label_file",
    "ports",
    "profiles",
    "pull_policy",
    "scale",
];

/// Parts of `deploy` that are nothing to a container: how many there are, and how they are replaced.
pub(super) const DEPLOY_LEFT_TO_COMPOSE: &[&str] = &[
    "endpoint_mode",
    "labels",
    "mode",
    "placement",
    "replicas",
    "restart_policy",
    "rollback_config",
    "update_config",
];

fn text(value: &Value) -> Result<Value, String> {
    syntax::text(value).map(Value::from)
}

fn truth(value: &Value) -> Result<Value, String> {
    syntax::truth(value).map(Value::from)
}

fn number(value: &Value) -> Result<Value, String> {
    syntax::number(value).map(Value::from)
}

pub(super) fn bytes(value: &Value) -> Result<Value, String> {
    syntax::bytes(value).map(Value::from)
}

fn list(value: &Value) -> Result<Value, String> {
    syntax::list(value).map(Value::from)
}

fn command(value: &Value) -> Result<Value, String> {
    syntax::command(value).map(Value::from)
}

fn mapping(value: &Value) -> Result<Value, String> {
    let pairs = syntax::pairs(value)?;
    Ok(pairs.into_iter().map(|(name, value)| (name, Value::from(value.unwrap_or_default()))).collect())
}

fn seconds(value: &Value) -> Result<Value, String> {
    // Rather longer than asked for than shorter.
    syntax::nanoseconds(value).map(|time| Value::from((time + 999_999_999) / 1_000_000_000))
}

pub(super) fn nano_cpus(value: &Value) -> Result<Value, String> {
    Ok(((syntax::fraction(value)? * 1e9).round() as i64).into())
}

fn microseconds(value: &Value) -> Result<Value, String> {
    syntax::number(value).or_else(|_| syntax::nanoseconds(value).map(|time| time / 1000)).map(Value::from)
}

fn health(value: &Value) -> Result<Value, String> {
    let check = value.as_object().ok_or("it is no mapping")?;
    let mut health = Map::new();
    for (field, value) in check {
        let (name, value) = match field.as_str() {
            "disable" if syntax::truth(value)? => return Ok(json!({"Test": ["NONE"]})),
            "disable" => continue,
            "test" if value.is_string() => ("Test", json!(["CMD-SHELL", value])),
            "test" => ("Test", list(value)?),
            "interval" => ("Interval", syntax::nanoseconds(value)?.into()),
            "timeout" => ("Timeout", syntax::nanoseconds(value)?.into()),
            "start_period" => ("StartPeriod", syntax::nanoseconds(value)?.into()),
            "start_interval" => ("StartInterval", syntax::nanoseconds(value)?.into()),
            "retries" => ("Retries", number(value)?),
            other => return Err(format!("{other} is not known")),
        };
        health.insert(name.to_owned(), value);
    }
    Ok(health.into())
}

fn devices(value: &Value) -> Result<Value, String> {
    let entries = value.as_array().ok_or("it is no list")?;
    let device = |entry: &Value| {
        let (source, target, permissions) = match entry {
            Value::Object(fields) => {
                let field = |name: &str| fields.get(name).map(syntax::text).transpose();
                (field("source")?.ok_or("a device has no source")?, field("target")?, field("permissions")?)
            }
            other => {
                let text = syntax::text(other)?;
                let mut parts = text.splitn(3, ':').map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next(), parts.next())
            }
        };
        if !source.starts_with('/') {
            return Err(format!("{source:?} is no device of this host; others are not passed on"));
        }
        let target = target.unwrap_or_else(|| source.clone());
        let permissions = permissions.unwrap_or_else(|| "rwm".to_owned());
        Ok(json!({"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": permissions}))
    };
    entries.iter().map(device).collect()
}

fn hosts(value: &Value) -> Result<Value, String> {
    let mut hosts = Vec::new();
    match value {
        Value::Object(entries) => {
            for (host, addresses) in entries {
                hosts.extend(syntax::list(addresses)?.iter().map(|address| format!("{host}:{address}")));
            }
        }
        other => {
            for entry in syntax::list(other)? {
                let (host, address) = entry
                    .split_once('=')
                    .or_else(|| entry.split_once(':'))
                    .ok_or_else(|| format!("{entry:?} is no host and address"))?;
                hosts.push(format!("{host}:{address}"));
            }
        }
    }
    Ok(hosts.into())
}

/// A namespace that does not depend on which container another service has at the moment.
fn own_namespace(value: &Value) -> Result<Value, String> {
    let mode = syntax::text(value)?;
    match mode.starts_with("service:") {
        true => {
            Err(format!("{mode:?} names a container that is not known here; give a network, host or none"))
        }
        false => Ok(mode.into()),
    }
}

fn logging(value: &Value) -> Result<Value, String> {
    let driver = value.get("driver").map(syntax::text).transpose()?.unwrap_or_default();
    let options = mapping(value.get("options").unwrap_or(&Value::Null))?;
    Ok(json!({"Type": driver, "Config": options}))
}

fn security(value: &Value) -> Result<Value, String> {
    let options = syntax::list(value)?;
    let profile = options.iter().find_map(|option| {
        let profile = option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:"))?;
        (!matches!(profile, "unconfined" | "builtin")).then_some(profile)
    });
    match profile {
        Some(profile) => {
            Err(format!("the seccomp profile {profile:?} lies in a file, which is not passed on"))
        }
        None => Ok(options.into()),
    }
}

fn tmpfs(value: &Value) -> Result<Value, String> {
    let mounts = syntax::list(value)?;
    let mounts = mounts.into_iter().map(|mount| match mount.split_once(':') {
        Some((path, options)) => (path.to_owned(), Value::from(options)),
        None => (mount, Value::from("")),
    });
    Ok(Value::Object(mounts.collect()))
}

fn ulimits(value: &Value) -> Result<Value, String> {
    let limits = value.as_object().ok_or("it is no mapping")?;
    let limit = |(name, limit): (&String, &Value)| {
        let (soft, hard) = match limit {
            Value::Object(both) => (both.get("soft"), both.get("hard")),
            both => (Some(both), Some(both)),
        };
        let bound =
            |bound: Option<&Value>| number(bound.ok_or_else(|| format!("{name} needs both soft and hard"))?);
        Ok(json!({"Name": name, "Soft": bound(soft)?, "Hard": bound(hard)?}))
    };
    limits.iter().map(limit).collect()
}
