use std::{collections::HashMap, time::Duration};

use napi_derive::napi;
use perper::{
    AgentSettings, GeneratorOptions, Resume,
    application::worker::WorkerOptions,
    protocol::{Settings, StreamOptions},
};

/// How to reach a Fabric. What is not given comes from the environment.
#[napi(object)]
pub struct ConnectOptions {
    /// `http://host:port`, or `https://host:port`.
    pub endpoint: Option<String>,
    /// A bearer token.
    pub token: Option<String>,
    /// A file of certificates to trust.
    pub ca_file: Option<String>,
    /// The client's own certificate, a file.
    pub certificate_file: Option<String>,
    /// Its key, a file.
    pub key_file: Option<String>,
    /// Milliseconds to try for; without it, connecting waits until the Fabric is there.
    pub connect_timeout: Option<f64>,
    /// Nothing from the environment.
    pub isolated: Option<bool>,
}

/// Milliseconds as JavaScript counts them.
pub(crate) fn milliseconds(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds.max(0.0) / 1000.0).unwrap_or(Duration::MAX)
}

impl ConnectOptions {
    pub(crate) fn settings(self) -> perper::Result<Settings> {
        let mut settings = match self.isolated {
            Some(true) => Settings::default(),
            _ => Settings::from_env()?,
        };
        if let Some(endpoint) = self.endpoint {
            settings = settings.with_endpoint(endpoint);
        }
        if let Some(token) = self.token {
            settings = settings.with_token(token);
        }
        if let Some(file) = self.ca_file {
            settings = settings.with_ca_file(file);
        }
        if let (Some(certificate), Some(key)) = (self.certificate_file, self.key_file) {
            settings = settings.with_identity_files(certificate, key);
        }
        if let Some(timeout) = self.connect_timeout {
            settings = settings.with_connect_timeout(milliseconds(timeout));
        }
        Ok(settings.with_client("perper-node", "javascript", env!("CARGO_PKG_VERSION")))
    }
}

/// How the streams of a delegate are made.
#[napi(object)]
pub struct GeneratorSettings {
    /// Keeps its items.
    pub persistent: Option<bool>,
    /// Runs whether anybody listens or not.
    pub action: Option<bool>,
    /// The distance of two keys; 0 for keys that need only increase.
    pub stride: Option<f64>,
    /// The first key.
    pub first_key: Option<f64>,
    /// Items without a listener that are kept at most.
    pub backlog: Option<f64>,
    /// Members of the items to index.
    pub indexed: Option<Vec<String>>,
    /// When it is taken up again, as many items are skipped as there are already.
    pub skip: Option<bool>,
}

impl From<GeneratorSettings> for GeneratorOptions {
    fn from(options: GeneratorSettings) -> Self {
        GeneratorOptions {
            stream: StreamOptions {
                persistent: options.persistent.unwrap_or_default(),
                action: options.action.unwrap_or_default(),
                // Checked in TypeScript to be safe integers.
                stride: options.stride.unwrap_or_default() as u64,
                first_key: options.first_key.unwrap_or_default() as i64,
                backlog_items: options.backlog.unwrap_or_default() as u64,
                indexed_fields: options.indexed.unwrap_or_default(),
            },
            resume: if options.skip == Some(true) { Resume::Skip } else { Resume::Again },
        }
    }
}

/// What an agent serves, and how.
#[napi(object)]
pub struct ServeOptions {
    /// The agent; empty for the one that the environment names.
    pub agent: String,
    /// The only instance to serve; without it, the environment's, or all.
    pub instance: Option<String>,
    /// The delegates.
    pub delegates: Vec<String>,
    /// Those of them that are generators.
    pub streams: HashMap<String, GeneratorSettings>,
    /// There is a handler for `Deploy`.
    pub deploy: bool,
    /// There is a handler for `Upgrade`.
    pub upgrade: bool,
    /// There is a handler for `EnterContainer`.
    pub enter: bool,
    /// How many executions at once.
    pub concurrency: Option<f64>,
    /// How many bytes of executions at once.
    pub bytes: Option<f64>,
    /// The work group.
    pub work_group: Option<String>,
}

impl ServeOptions {
    pub(crate) fn worker(self, settings: &Settings) -> WorkerOptions {
        let usual = AgentSettings::default();
        let agent = match self.agent.is_empty() {
            true => settings.agent().unwrap_or_default().to_owned(),
            false => self.agent,
        };
        WorkerOptions {
            agent,
            instance: self.instance.or_else(|| settings.instance().map(str::to_owned)),
            delegates: self.delegates,
            streams: self.streams.into_iter().map(|(name, options)| (name, options.into())).collect(),
            any_delegate: false,
            deploy: self.deploy,
            upgrade: self.upgrade,
            enter: self.enter,
            settings: AgentSettings {
                concurrency: self
                    .concurrency
                    .map_or(usual.concurrency, |executions| executions.max(1.0) as u64),
                bytes: self.bytes.map_or(usual.bytes, |bytes| bytes as u64),
                work_group: self.work_group.unwrap_or_default(),
                ..usual
            },
        }
    }
}
