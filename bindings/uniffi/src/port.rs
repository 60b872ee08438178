use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use perper::{
    AgentSettings, GeneratorOptions,
    application::worker::{self, WorkerOptions},
    protocol::StreamOptions,
};

use crate::{NativeError, runtime};

/// What an agent process serves.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ServeSettings {
    /// The agent.
    pub agent: String,
    /// The only instance that this process serves, where a scaler has named one.
    pub instance: Option<String>,
    /// The delegates that there are handlers for.
    pub delegates: Vec<String>,
    /// Those of the delegates that are generators, with how their streams are made.
    pub streams: HashMap<String, GeneratorSettings>,
    /// There is a handler for whatever else is called.
    pub any_delegate: bool,
    /// There is a handler for `Deploy`.
    pub deploy: bool,
    /// There is a handler for `Upgrade`.
    pub upgrade: bool,
    /// There is a handler for `EnterContainer`.
    pub enter: bool,
    /// How many executions are worked on at once; none: the usual; 0: just as many as are granted.
    pub concurrency: Option<u64>,
    /// How many bytes of executions are held at once; 0: the usual.
    pub bytes: u64,
    /// Every work group gets every execution. Empty is the default group.
    pub work_group: String,
}

/// How the streams of a generator are made when a plain call reaches it, and how it is taken up again.
#[derive(Debug, Clone, uniffi::Record)]
pub struct GeneratorSettings {
    /// Items stay until the stream is destroyed.
    pub persistent: bool,
    /// The generator starts at once rather than with the first listener.
    pub action: bool,
    /// The distance of two keys of a packed stream; 0 for an unpacked one.
    pub stride: u64,
    /// The first key of a packed stream.
    pub first_key: i64,
    /// How many unread items make writers wait; 0 for no bound.
    pub backlog_items: u64,
    /// Members of the items that are indexed.
    pub indexed_members: Vec<String>,
    /// What becomes of items that are yielded again.
    pub resume: Resume,
}

/// What becomes of the items that a generator yields again, after its former worker was lost.
#[derive(Debug, Clone, Copy, uniffi::Enum)]
pub enum Resume {
    /// They are written again.
    Again,
    /// As many are skipped as the stream has already.
    Skip,
}

impl From<ServeSettings> for WorkerOptions {
    fn from(settings: ServeSettings) -> Self {
        let usual = AgentSettings::default();
        WorkerOptions {
            agent: settings.agent,
            instance: settings.instance,
            delegates: settings.delegates,
            streams: settings.streams.into_iter().map(|(name, it)| (name, it.into())).collect(),
            any_delegate: settings.any_delegate,
            deploy: settings.deploy,
            upgrade: settings.upgrade,
            enter: settings.enter,
            settings: AgentSettings {
                concurrency: settings.concurrency.unwrap_or(usual.concurrency),
                bytes: if settings.bytes == 0 { usual.bytes } else { settings.bytes },
                work_group: settings.work_group,
                // The language counts the grace, since it knows its handlers: it submits `release all` when it is over.
                grace: Duration::ZERO,
                signals: false,
            },
        }
    }
}

impl From<GeneratorSettings> for GeneratorOptions {
    fn from(settings: GeneratorSettings) -> Self {
        GeneratorOptions {
            stream: StreamOptions {
                persistent: settings.persistent,
                action: settings.action,
                stride: settings.stride,
                first_key: settings.first_key,
                backlog_items: settings.backlog_items,
                indexed_fields: settings.indexed_members,
            },
            resume: match settings.resume {
                Resume::Again => perper::Resume::Again,
                Resume::Skip => perper::Resume::Skip,
            },
        }
    }
}

/// One queue out, one queue in, both in packed batches.
#[derive(Debug, uniffi::Object)]
pub struct Port {
    port: worker::Port,
}

impl Port {
    pub(crate) fn of(port: worker::Port) -> Self {
        Port { port }
    }
}

#[uniffi::export]
impl Port {
    /// Waits until there is something to drain. Nothing is taken here, so giving up loses nothing.
    pub async fn ready(&self) -> Result<(), NativeError> {
        runtime::within(self.port.ready()).await
    }

    /// Takes what waits, at most that many bytes of it, but at least one record if there is any. Empty when nothing
    /// waits: then, and only then, wait for [`ready`](Port::ready).
    pub fn drain(&self, max_bytes: u64) -> Result<Vec<u8>, NativeError> {
        let _entered = runtime::enter()?;
        Ok(self.port.drain(usize::try_from(max_bytes).unwrap_or(usize::MAX)))
    }

    /// Hands over answers and requests. It fails only where the batch is malformed, which is a fault of the caller.
    pub fn submit(&self, batch: &[u8]) -> Result<(), NativeError> {
        let _entered = runtime::enter()?;
        Ok(self.port.submit(Bytes::copy_from_slice(batch))?)
    }
}
