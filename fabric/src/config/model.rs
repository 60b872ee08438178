//! The configuration as the server uses it: plain data with defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use perper_proto::v1;
use perper_store::HeadRoom;

use super::{Durability, StoreKind};

/// Everything a server can be told. The default is a server in memory, on loopback, at the usual port.
///
/// Each field has a flag, an environment variable and a key in the file of the same name; `docs/operations.md` lists
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where gRPC is served. Port 0 takes a free one.
    pub address: SocketAddr,
    /// A file to write the actual address to, once it is listened on: how a script finds a server on port 0.
    pub address_file: Option<PathBuf>,
    /// Allows plain text on an address that other machines can reach.
    pub insecure: bool,
    /// TLS, where it is wanted.
    pub tls: Option<Tls>,
    /// A file with the bearer tokens that are accepted, one per line. Without it, nobody is asked for one.
    pub token_file: Option<PathBuf>,

    /// The folder to keep everything in. Without one, all is in memory and gone with the server.
    pub data: Option<PathBuf>,
    /// Which ordered store keeps the data folder.
    pub store: StoreKind,
    /// Which failure an acknowledged write survives: `None` is `sync` with a data folder and `memory` without.
    pub durability: Option<Durability>,
    /// Bytes of the disk that are held back for deletes and completions, and for what the store does by itself.
    pub disk_reserve: u64,

    /// What clients may ask for; announced to them in `Hello`.
    pub limits: Limits,
    /// Connections held at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// RPCs in flight on one connection; further ones wait at the client (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    pub max_rpcs_per_connection: u32,

    /// How long a session lives without a sign of its client.
    pub session_lease: Duration,
    /// How long a session keeps its reservations after its connection broke, unless it attaches again.
    pub reset_grace: Duration,
    /// How often an execution is given to a worker before it fails with `ATTEMPTS_EXHAUSTED`.
    pub max_attempts: u32,
    /// How long an instance's `Stop` may take before the rest of its executions is cancelled.
    pub stop_timeout: Duration,
    /// How long a result is kept that nobody fetches.
    pub result_retention: Duration,
    /// How long the reason of an end is kept, before it is `NOT_FOUND`.
    pub tombstone_retention: Duration,
    /// Items that a stream may hold without a listener before its writers are refused.
    pub stream_backlog_items: u64,
    /// Bytes of items that a stream may hold without a listener before its writers are refused.
    pub stream_backlog_bytes: u64,
    /// How long a stopping server waits for its clients to move.
    pub shutdown_grace: Duration,

    /// Where Prometheus metrics are served over plain HTTP, if anywhere.
    pub metrics_address: Option<SocketAddr>,
    /// The OTLP endpoint that traces are sent to, if any.
    pub otlp_endpoint: Option<String>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written, as directives of `tracing-subscriber`'s `EnvFilter`.
    pub log_filter: String,
}

impl Config {
    /// The port that agent libraries try when they are told nothing.
    pub const DEFAULT_PORT: u16 = 40400;

    /// Where and how durably this server keeps its data.
    pub fn storage(&self) -> Storage {
        match &self.data {
            None => Storage::Memory,
            Some(folder) => Storage::Folder {
                path: folder.clone(),
                store: self.store,
                durability: self.durability.unwrap_or(Durability::Sync),
            },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, Self::DEFAULT_PORT)),
            address_file: None,
            insecure: false,
            tls: None,
            token_file: None,
            data: None,
            store: StoreKind::Sled,
            durability: None,
            disk_reserve: HeadRoom::DEFAULT_RESERVE,
            limits: Limits::default(),
            max_connections: 16_384,
            max_rpcs_per_connection: 1_024,
            session_lease: Duration::from_secs(20),
            reset_grace: Duration::from_secs(5),
            max_attempts: 16,
            stop_timeout: Duration::from_secs(30),
            result_retention: Duration::from_secs(60 * 60),
            tombstone_retention: Duration::from_secs(5 * 60),
            stream_backlog_items: 1_000_000,
            stream_backlog_bytes: 256 << 20,
            shutdown_grace: Duration::from_secs(10),
            metrics_address: None,
            otlp_endpoint: None,
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
        }
    }
}

/// What clients may ask for. Each breach is refused with `LIMIT_EXCEEDED`, none takes the server down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one value.
    pub value_bytes: u64,
    /// Bytes of one dictionary key.
    pub key_bytes: u64,
    /// Bytes of one gRPC message, in either direction.
    pub message_bytes: u64,
    /// Requests sent and not yet answered, per session.
    pub requests_in_flight: u64,
    /// Executions that one listen may have credit for.
    pub credit_executions: u64,
    /// Items that one attached listener may have credit for.
    pub credit_items: u64,
    /// Bytes that one listen or attached listener may have credit for.
    pub credit_bytes: u64,
    /// Operations in one `UpdateDictionary`.
    pub dictionary_operations: u32,
    /// How deeply values may nest.
    pub depth: u32,
    /// Attach streams, listens and attached listeners, per session.
    pub subscriptions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes: 8 << 20,
            key_bytes: 1 << 10,
            message_bytes: 16 << 20,
            requests_in_flight: 16_384,
            credit_executions: 65_536,
            credit_items: 1 << 20,
            credit_bytes: 64 << 20,
            dictionary_operations: 1_000,
            depth: 128,
            subscriptions: 65_536,
        }
    }
}

impl From<&Limits> for v1::Limits {
    fn from(limits: &Limits) -> Self {
        v1::Limits {
            value_bytes: limits.value_bytes,
            key_bytes: limits.key_bytes,
            message_bytes: limits.message_bytes,
            requests_in_flight: limits.requests_in_flight,
            credit_executions: limits.credit_executions,
            credit_items: limits.credit_items,
            credit_bytes: limits.credit_bytes,
            dictionary_operations: limits.dictionary_operations,
            depth: limits.depth,
            subscriptions: limits.subscriptions,
        }
    }
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Nowhere: gone with the server.
    Memory,
    /// In a folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What keeps it.
        store: StoreKind,
        /// Which failure an acknowledged write survives.
        durability: Durability,
    },
}

/// The files TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate of the server, followed by its intermediates.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates of authorities: with them, a client must show a certificate that one of them signed.
    pub client_ca: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The name of a durability, as flags and logs have it.
pub(crate) fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Process => "process",
        Durability::Sync => "sync",
    }
}
