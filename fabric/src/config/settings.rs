//! The one table of settings: names, groups, help, how each is read and shown.
//!
//! Flags, environment variables, keys of the file, `--help`, `check-config` and the test of `docs/operations.md` are all
//! made from it, so they cannot differ.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::model::durability_name;
use super::units::{parse_bytes, parse_time, show_bytes, show_time};
use super::{Config, Durability, LogFormat, StoreKind, Tls};

/// One setting.
pub(super) struct Setting {
    /// The flag without its dashes, and the key in the file. The environment variable is `PERPER_FABRIC_` and this in
    /// capitals, with underscores.
    pub(super) name: &'static str,
    /// The heading in `--help`.
    pub(super) group: &'static str,
    /// What stands for the value in `--help`; empty for a switch.
    pub(super) value: &'static str,
    /// What it does.
    pub(super) help: &'static str,
    /// Reads a value.
    pub(super) set: fn(&mut Draft, &str) -> Result<(), String>,
    /// Shows a value; empty if there is none.
    pub(super) show: fn(&Draft) -> String,
}

impl Setting {
    pub(super) fn find(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    pub(super) fn is_switch(&self) -> bool {
        self.value.is_empty()
    }
}

/// A configuration in the making: TLS comes in three settings and is one thing only at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) tls_client_ca: Option<PathBuf>,
}

impl Draft {
    /// The configuration, or the setting that keeps it from being one and what is wrong with that.
    pub(super) fn finish(self) -> Result<Config, (&'static str, &'static str)> {
        let tls = match (self.tls_cert, self.tls_key, self.tls_client_ca) {
            (Some(cert), Some(key), client_ca) => Some(Tls { cert, key, client_ca }),
            (None, None, None) => None,
            (Some(_), None, _) => {
                return Err(("tls-cert", "the certificate needs its key; give --tls-key as well"));
            }
            (None, Some(_), _) => {
                return Err(("tls-key", "the key needs its certificate; give --tls-cert as well"));
            }
            (None, None, Some(_)) => {
                return Err((
                    "tls-client-ca",
                    "clients show certificates only over TLS; give --tls-cert and --tls-key",
                ));
            }
        };
        Ok(Config { tls, ..self.config })
    }
}

macro_rules! setting {
    ($group:expr, $name:literal, $value:literal, $help:literal, $set:expr, $show:expr $(,)?) => {
        Setting { name: $name, group: $group, value: $value, help: $help, set: $set, show: $show }
    };
}

const SERVING: &str = "Serving";
const SECURITY: &str = "Security";
const STORAGE: &str = "Storage";
const BEHAVIOUR: &str = "Sessions, executions and streams";
const LIMITS: &str = "Limits (announced to clients)";
const OBSERVING: &str = "Logs, metrics and traces";

/// All of them, in the order of `--help`.
pub(super) static SETTINGS: &[Setting] = &[
    setting!(
        SERVING,
        "address",
        "IP:PORT",
        "Where gRPC is served; port 0 takes a free one",
        |d, v| put(&mut d.config.address, address(v)),
        |d| d.config.address.to_string()
    ),
    setting!(
        SERVING,
        "address-file",
        "FILE",
        "Write the actual address to this file once serving",
        |d, v| put(&mut d.config.address_file, path(v)),
        |d| show_path(d.config.address_file.as_ref())
    ),
    setting!(
        SERVING,
        "max-connections",
        "N",
        "Connections held at once; further ones wait",
        |d, v| put(&mut d.config.max_connections, number(v)),
        |d| d.config.max_connections.to_string()
    ),
    setting!(
        SERVING,
        "max-rpcs-per-connection",
        "N",
        "RPCs in flight on one connection; further ones wait at the client",
        |d, v| put(&mut d.config.max_rpcs_per_connection, number(v)),
        |d| d.config.max_rpcs_per_connection.to_string()
    ),
    setting!(
        SERVING,
        "shutdown-grace",
        "TIME",
        "How long a stopping server waits for its clients to move",
        |d, v| put(&mut d.config.shutdown_grace, parse_time(v)),
        |d| show_time(d.config.shutdown_grace)
    ),
    setting!(
        SECURITY,
        "tls-cert",
        "FILE",
        "Serve TLS with this certificate and its intermediates (PEM)",
        |d, v| put(&mut d.tls_cert, path(v)),
        |d| show_path(d.tls_cert.as_ref())
    ),
    setting!(
        SECURITY,
        "tls-key",
        "FILE",
        "The certificate's private key (PEM)",
        |d, v| put(&mut d.tls_key, path(v)),
        |d| show_path(d.tls_key.as_ref())
    ),
    setting!(
        SECURITY,
        "tls-client-ca",
        "FILE",
        "Ask clients for a certificate signed by one of these authorities (PEM)",
        |d, v| put(&mut d.tls_client_ca, path(v)),
        |d| show_path(d.tls_client_ca.as_ref())
    ),
    setting!(
        SECURITY,
        "token-file",
        "FILE",
        "Ask clients for a bearer token of this file, one per line; read again on SIGHUP",
        |d, v| put(&mut d.config.token_file, path(v)),
        |d| show_path(d.config.token_file.as_ref())
    ),
    setting!(
        SECURITY,
        "insecure",
        "",
        "Allow plain text on an address that other machines can reach",
        |d, v| put(&mut d.config.insecure, switch(v)),
        |d| d.config.insecure.to_string()
    ),
    setting!(
        STORAGE,
        "data",
        "FOLDER",
        "Keep everything in this folder; without one all is in memory and gone with the server",
        |d, v| put(&mut d.config.data, path(v)),
        |d| show_path(d.config.data.as_ref())
    ),
    setting!(
        STORAGE,
        "store",
        "KIND",
        "What keeps the data folder: sled or fjall",
        |d, v| put(&mut d.config.store, StoreKind::from_str(v).map_err(|error| error.to_string())),
        |d| d.config.store.to_string()
    ),
    setting!(
        STORAGE,
        "durability",
        "FAILURE",
        "The failure that what is acknowledged survives: process (kill -9) or sync (loss of power); \
         sync where there is a data folder",
        |d, v| put(&mut d.config.durability, durability(v)),
        |d| d.config.durability.map(durability_name).unwrap_or_default().to_owned()
    ),
    setting!(
        STORAGE,
        "disk-reserve",
        "BYTES",
        "Writes are turned away when less of the disk is free",
        |d, v| put(&mut d.config.disk_reserve, parse_bytes(v)),
        |d| show_bytes(d.config.disk_reserve)
    ),
    setting!(
        BEHAVIOUR,
        "session-lease",
        "TIME",
        "How long a session lives without a sign of its client",
        |d, v| put(&mut d.config.session_lease, parse_time(v)),
        |d| show_time(d.config.session_lease)
    ),
    setting!(
        BEHAVIOUR,
        "reset-grace",
        "TIME",
        "How long a session keeps its reservations after its connection broke",
        |d, v| put(&mut d.config.reset_grace, parse_time(v)),
        |d| show_time(d.config.reset_grace)
    ),
    setting!(
        BEHAVIOUR,
        "max-attempts",
        "N",
        "How often an execution is given to a worker before it fails",
        |d, v| put(&mut d.config.max_attempts, number(v)),
        |d| d.config.max_attempts.to_string()
    ),
    setting!(
        BEHAVIOUR,
        "stop-timeout",
        "TIME",
        "How long an instance's Stop may take before the rest is cancelled",
        |d, v| put(&mut d.config.stop_timeout, parse_time(v)),
        |d| show_time(d.config.stop_timeout)
    ),
    setting!(
        BEHAVIOUR,
        "result-retention",
        "TIME",
        "How long a result is kept that nobody fetches",
        |d, v| put(&mut d.config.result_retention, parse_time(v)),
        |d| show_time(d.config.result_retention)
    ),
    setting!(
        BEHAVIOUR,
        "tombstone-retention",
        "TIME",
        "How long the reason of an end is kept before it is NOT_FOUND",
        |d, v| put(&mut d.config.tombstone_retention, parse_time(v)),
        |d| show_time(d.config.tombstone_retention)
    ),
    setting!(
        BEHAVIOUR,
        "stream-backlog-items",
        "N",
        "Items a stream may hold without a listener before writers are refused",
        |d, v| put(&mut d.config.stream_backlog_items, number(v)),
        |d| d.config.stream_backlog_items.to_string()
    ),
    setting!(
        BEHAVIOUR,
        "stream-backlog-bytes",
        "BYTES",
        "Bytes a stream may hold without a listener before writers are refused",
        |d, v| put(&mut d.config.stream_backlog_bytes, parse_bytes(v)),
        |d| show_bytes(d.config.stream_backlog_bytes)
    ),
    setting!(
        LIMITS,
        "limit-value-bytes",
        "BYTES",
        "One value",
        |d, v| put(&mut d.config.limits.value_bytes, parse_bytes(v)),
        |d| show_bytes(d.config.limits.value_bytes)
    ),
    setting!(
        LIMITS,
        "limit-key-bytes",
        "BYTES",
        "One dictionary key",
        |d, v| put(&mut d.config.limits.key_bytes, parse_bytes(v)),
        |d| show_bytes(d.config.limits.key_bytes)
    ),
    setting!(
        LIMITS,
        "limit-message-bytes",
        "BYTES",
        "One gRPC message, in either direction",
        |d, v| put(&mut d.config.limits.message_bytes, parse_bytes(v)),
        |d| show_bytes(d.config.limits.message_bytes)
    ),
    setting!(
        LIMITS,
        "limit-requests-in-flight",
        "N",
        "Unanswered requests of a session",
        |d, v| put(&mut d.config.limits.requests_in_flight, number(v)),
        |d| d.config.limits.requests_in_flight.to_string()
    ),
    setting!(
        LIMITS,
        "limit-credit-executions",
        "N",
        "Credit of one listen, in executions",
        |d, v| put(&mut d.config.limits.credit_executions, number(v)),
        |d| d.config.limits.credit_executions.to_string()
    ),
    setting!(
        LIMITS,
        "limit-credit-items",
        "N",
        "Credit of one listener, in items",
        |d, v| put(&mut d.config.limits.credit_items, number(v)),
        |d| d.config.limits.credit_items.to_string()
    ),
    setting!(
        LIMITS,
        "limit-credit-bytes",
        "BYTES",
        "Credit of one listen or listener, in bytes",
        |d, v| put(&mut d.config.limits.credit_bytes, parse_bytes(v)),
        |d| show_bytes(d.config.limits.credit_bytes)
    ),
    setting!(
        LIMITS,
        "limit-dictionary-operations",
        "N",
        "Operations in one UpdateDictionary",
        |d, v| put(&mut d.config.limits.dictionary_operations, number(v)),
        |d| d.config.limits.dictionary_operations.to_string()
    ),
    setting!(
        LIMITS,
        "limit-depth",
        "N",
        "Nesting of values",
        |d, v| put(&mut d.config.limits.depth, number(v)),
        |d| d.config.limits.depth.to_string()
    ),
    setting!(
        LIMITS,
        "limit-subscriptions",
        "N",
        "Attach streams, listens and listeners of a session",
        |d, v| put(&mut d.config.limits.subscriptions, number(v)),
        |d| d.config.limits.subscriptions.to_string()
    ),
    setting!(
        OBSERVING,
        "metrics-address",
        "IP:PORT",
        "Serve Prometheus metrics over plain HTTP at /metrics; port 0 takes a free one",
        |d, v| put(&mut d.config.metrics_address, optional(v, address)),
        |d| show_option(d.config.metrics_address)
    ),
    setting!(
        OBSERVING,
        "otlp-endpoint",
        "URL",
        "Send traces to this OTLP endpoint over gRPC, such as http://127.0.0.1:4317",
        |d, v| put(&mut d.config.otlp_endpoint, optional(v, |v| Ok(v.to_owned()))),
        |d| show_option(d.config.otlp_endpoint.as_ref())
    ),
    setting!(
        OBSERVING,
        "log-format",
        "FORMAT",
        "How log lines are written to stderr: text or json",
        |d, v| put(&mut d.config.log_format, log_format(v)),
        |d| match d.config.log_format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    ),
    setting!(
        OBSERVING,
        "log-filter",
        "FILTER",
        "Which log lines: error, warn, info, debug, trace, or by module: info,perper_fabric=debug",
        |d, v| put(&mut d.config.log_filter, log_filter(v)),
        |d| d.config.log_filter.clone()
    ),
];

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not a whole number in the range of this setting; give one like 1000".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "not an address; give an IP address and a port, like 127.0.0.1:40400, 0.0.0.0:40400 or [::]:40400"
            .to_owned()
    })
}

/// Empty stands for none, so that a stronger source can take back what a weaker one gave.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn path(text: &str) -> Result<Option<PathBuf>, String> {
    optional(text, |text| Ok(PathBuf::from(text)))
}

fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "neither true nor false".to_owned())
}

fn durability(text: &str) -> Result<Option<Durability>, String> {
    optional(text, |text| {
        [Durability::Memory, Durability::Process, Durability::Sync]
            .into_iter()
            .find(|durability| durability_name(*durability) == text)
            .ok_or_else(|| "no such durability; there are memory, process and sync".to_owned())
    })
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("no such format; there are text and json".to_owned()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not a filter ({error}); give info, or info,perper_fabric=debug")),
    }
}

fn show_path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn show_option(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for setting in SETTINGS {
            assert!(
                std::ptr::eq(Setting::find(setting.name).unwrap(), setting),
                "{} is there twice",
                setting.name
            );
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        let draft = Draft::default();
        for setting in SETTINGS {
            let mut copy = draft.clone();
            (setting.set)(&mut copy, &(setting.show)(&draft))
                .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
            assert_eq!(copy, draft, "{}", setting.name);
        }
    }

    #[test]
    fn the_documentation_has_each_setting_with_its_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let text = std::fs::read_to_string(path).unwrap();
        let draft = Draft::default();
        for setting in SETTINGS {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", setting.name)));
            let row = row.unwrap_or_else(|| panic!("{} is not in {path}", setting.name));
            let default = (setting.show)(&draft);
            assert!(
                default.is_empty() || row.contains(&format!("| `{default}` |")),
                "{row} has not {default}"
            );
        }
    }
}
