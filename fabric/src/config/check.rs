//! Settings that exclude each other, or that would be dangerous.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::{ConfigError, Origin, Problem};
use super::{Config, Durability, Storage, StoreKind};

/// What a message holds beside the value in it: ids, headers, the frame around it.
const MESSAGE_OVERHEAD: u64 = 64 << 10;

/// The longest message that gRPC clients can be expected to take; the length has 32 bits, many read it with a sign.
const MAX_MESSAGE_BYTES: u64 = i32::MAX as u64;

/// Deeper values than this would risk the stacks of clients that decode by recursion.
const MAX_DEPTH: u32 = 512;

impl Config {
    /// Refuses what cannot work, or would be dangerous. A start does this by itself.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut found = Findings(Vec::new());
        self.check_exposure(&mut found);
        self.check_storage(&mut found);
        self.check_limits(&mut found);
        self.check_times(&mut found);
        if let Some(endpoint) = &self.otlp_endpoint
            && !is_http_address(endpoint)
        {
            found.add(
                "otlp-endpoint",
                "not an address of OTLP over gRPC; give one like http://127.0.0.1:4317",
            );
        }
        if found.0.is_empty() { Ok(()) } else { Err(ConfigError { problems: found.0 }) }
    }

    fn check_exposure(&self, found: &mut Findings) {
        if self.tls.is_none() && !self.insecure && !is_loopback(self.address) {
            found.add(
                "address",
                format!(
                    "{} can be reached by other machines, and what is said there would be in plain text; give \
                     --tls-cert and --tls-key, or stay on 127.0.0.1, or say --insecure if the network is trusted",
                    self.address
                ),
            );
        }
        if let Some(metrics) = self.metrics_address
            && metrics.port() != 0
            && metrics == self.address
        {
            found.add("metrics-address", "gRPC is served on that address; take another port");
        }
    }

    fn check_storage(&self, found: &mut Findings) {
        if self.store == StoreKind::Memory && self.data.is_some() {
            found.add("store", "the memory store has no folder; choose another store, or leave out --data");
        }
        match (self.storage(), self.durability) {
            (Storage::Memory, Some(Durability::Process | Durability::Sync)) => {
                found.add(
                    "durability",
                    "without a data folder everything is gone with the server; give --data as well",
                );
            }
            (Storage::Folder { .. }, Some(Durability::Memory)) => {
                found.add(
                    "durability",
                    "a data folder would keep nothing; choose process or sync, or leave out --data",
                );
            }
            _ => {}
        }
    }

    fn check_limits(&self, found: &mut Findings) {
        let limits = &self.limits;
        for (name, value) in [
            ("max-connections", self.max_connections as u64),
            ("max-rpcs-per-connection", self.max_rpcs_per_connection.into()),
            ("max-attempts", self.max_attempts.into()),
            ("stream-backlog-items", self.stream_backlog_items),
            ("stream-backlog-bytes", self.stream_backlog_bytes),
            ("limit-value-bytes", limits.value_bytes),
            ("limit-key-bytes", limits.key_bytes),
            ("limit-requests-in-flight", limits.requests_in_flight),
            ("limit-credit-executions", limits.credit_executions),
            ("limit-credit-items", limits.credit_items),
            ("limit-credit-bytes", limits.credit_bytes),
            ("limit-dictionary-operations", limits.dictionary_operations.into()),
            ("limit-depth", limits.depth.into()),
            ("limit-subscriptions", limits.subscriptions.into()),
        ] {
            if value == 0 {
                found.add(name, "nothing would be allowed; give at least 1");
            }
        }
        if self.max_connections > MAX_CONNECTIONS {
            found.add("max-connections", format!("at most {MAX_CONNECTIONS}"));
        }
        if limits.message_bytes < limits.value_bytes.saturating_add(MESSAGE_OVERHEAD) {
            found.add(
                "limit-message-bytes",
                format!(
                    "{} bytes cannot carry a value of {} bytes (limit-value-bytes) and {MESSAGE_OVERHEAD} around it; \
                     raise this or lower that",
                    limits.message_bytes, limits.value_bytes
                ),
            );
        }
        if limits.message_bytes > MAX_MESSAGE_BYTES {
            found.add("limit-message-bytes", format!("gRPC messages have {MAX_MESSAGE_BYTES} bytes at most"));
        }
        if limits.credit_bytes < limits.value_bytes {
            found.add(
                "limit-credit-bytes",
                format!("no credit would allow a value of {} bytes (limit-value-bytes)", limits.value_bytes),
            );
        }
        if limits.key_bytes > perper_store::MAX_KEY_BYTES as u64 / 2 {
            found.add(
                "limit-key-bytes",
                format!("the stores take {} bytes at most", perper_store::MAX_KEY_BYTES / 2),
            );
        }
        if limits.depth > MAX_DEPTH {
            found.add(
                "limit-depth",
                format!("at most {MAX_DEPTH}, for the sake of the stacks of those who decode"),
            );
        }
    }

    fn check_times(&self, found: &mut Findings) {
        if self.session_lease < Duration::from_secs(1) {
            found.add("session-lease", "clients renew at a third of the lease; give at least 1s");
        }
        if self.reset_grace > self.session_lease {
            found.add(
                "reset-grace",
                "longer than session-lease, which ends the session anyway; make it shorter",
            );
        }
        for (name, time) in [("stop-timeout", self.stop_timeout), ("result-retention", self.result_retention)]
        {
            if time.is_zero() {
                found.add(name, "no time at all; give at least 1ms");
            }
        }
    }
}

/// What `tokio::sync::Semaphore` can count, and far more than a machine can hold.
const MAX_CONNECTIONS: usize = 10_000_000;

/// The problems found so far.
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, setting: &str, message: impl Into<String>) {
        self.0.push(Problem {
            setting: setting.to_owned(),
            value: None,
            origin: Origin::Program,
            message: message.into(),
        });
    }
}

/// Whether only this machine can connect to an address.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn is_http_address(endpoint: &str) -> bool {
    endpoint
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    #[test]
    fn the_default_can_be_used() {
        Config::default().check().unwrap();
    }

    /// A name, how the default is spoilt, and the setting that is named for it.
    type Case = (&'static str, fn(&mut Config), &'static str);

    #[test]
    fn what_cannot_work_is_named() {
        let cases: &[Case] = &[
            ("plain text for everyone", |c| c.address = ([0, 0, 0, 0], 1).into(), "address"),
            ("one port twice", |c| c.metrics_address = Some(c.address), "metrics-address"),
            ("durable nowhere", |c| c.durability = Some(Durability::Sync), "durability"),
            (
                "a folder for nothing",
                |c| (c.data, c.durability) = (Some("data".into()), Some(Durability::Memory)),
                "durability",
            ),
            (
                "a folder for memory",
                |c| (c.data, c.store) = (Some("data".into()), StoreKind::Memory),
                "store",
            ),
            ("nobody may connect", |c| c.max_connections = 0, "max-connections"),
            ("more than can be counted", |c| c.max_connections = usize::MAX, "max-connections"),
            ("messages smaller than values", |c| c.limits.message_bytes = 1 << 20, "limit-message-bytes"),
            ("messages beyond gRPC", |c| c.limits.message_bytes = 1 << 32, "limit-message-bytes"),
            ("no credit for a value", |c| c.limits.credit_bytes = 1, "limit-credit-bytes"),
            ("keys beyond the stores", |c| c.limits.key_bytes = 1 << 40, "limit-key-bytes"),
            ("depth beyond stacks", |c| c.limits.depth = 100_000, "limit-depth"),
            (
                "a lease of nothing",
                |c| (c.session_lease, c.reset_grace) = Default::default(),
                "session-lease",
            ),
            ("a grace beyond the lease", |c| c.reset_grace = Duration::from_secs(60), "reset-grace"),
            ("no time to stop", |c| c.stop_timeout = Duration::ZERO, "stop-timeout"),
            ("not an endpoint", |c| c.otlp_endpoint = Some("localhost".into()), "otlp-endpoint"),
        ];
        for (name, spoil, setting) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            let problems = config.check().expect_err(name).problems;
            let settings: Vec<_> = problems.iter().map(|problem| problem.setting.as_str()).collect();
            assert_eq!(settings, [*setting], "{name}");
        }
    }

    #[test]
    fn an_address_for_everyone_takes_tls_or_a_word() {
        let everyone = Config { address: ([0, 0, 0, 0], 40400).into(), ..Config::default() };
        let tls = Tls { cert: "cert.pem".into(), key: "key.pem".into(), client_ca: None };
        Config { tls: Some(tls), ..everyone.clone() }.check().unwrap();
        Config { insecure: true, ..everyone }.check().unwrap();
        for loopback in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            Config { address: loopback.parse().unwrap(), ..Config::default() }.check().unwrap();
        }
    }
}
