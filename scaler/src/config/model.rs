use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a Scaler can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which back-end, and what that has to know.
    pub backend: BackendConfig,
    /// Where the Fabric is; none for what the environment says.
    pub fabric: Option<String>,
    /// A file of certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Where health and metrics are served, if anywhere.
    pub http_address: Option<SocketAddr>,
    /// A file to write the actual address of that to.
    pub http_address_file: Option<PathBuf>,
    /// How long what belongs to another Fabric is left alone.
    pub grace: Duration,
    /// How often everything is compared although nothing has been heard of.
    pub resync: Duration,
    /// The wait after a first failure.
    pub backoff: Duration,
    /// The longest wait after failures.
    pub backoff_max: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: String,
}

/// Which back-end, and what that has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendConfig {
    /// Local processes.
    Process {
        /// The file that says how agents are run.
        file: PathBuf,
    },
    /// Containers of a Compose project.
    #[cfg(feature = "compose")]
    Compose {
        /// Where the project is described.
        source: crate::compose::Source,
        /// Its name; none for what the description says.
        project: Option<String>,
        /// The address of the Docker Engine; none for the usual one.
        engine: Option<String>,
    },
    /// A controller of Kubernetes.
    #[cfg(feature = "kubernetes")]
    Kubernetes {
        /// The namespace; none for the one that the process is in.
        namespace: Option<String>,
        /// How long a leader that says nothing is believed to live.
        lease: Duration,
        /// Who this replica is.
        identity: Option<String>,
    },
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object for each line.
    Json,
}
