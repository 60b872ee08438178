use std::{collections::VecDeque, fmt};

use perper_proto::v1::{self, observe_executions_response as observed, watch_response as watched};
use prost::Message;
use tokio::time::sleep;
use tonic::Streaming;

use super::{
    executions::ExecutionInfo,
    fabric::Fabric,
    inspection::InstanceInfo,
    listen::ExecutionFilter,
    machines::{resync::Resync, retry::Retry},
    random,
    streams::StreamInfo,
    unary::is_away,
};
use crate::Result;

/// What kind of thing an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Instance,
    Execution,
    Stream,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// An instance that is new or has changed.
    Instance(InstanceInfo),
    /// An execution that is new or has changed.
    Execution(ExecutionInfo),
    /// A stream that is new or has changed.
    Stream(StreamInfo),
    /// The id of an instance that is gone.
    InstanceRemoved(String),
    /// The id of an execution that is gone.
    ExecutionRemoved(String),
    /// The id of a stream that is gone.
    StreamRemoved(String),
    /// Everything that there was when the watch began has been told. Once.
    StartReached,
}

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Instances.
    pub instances: bool,
    /// Executions.
    pub executions: bool,
    /// Streams.
    pub streams: bool,
    /// Instances and executions of that agent only; empty: of all.
    pub agent: String,
}

/// An event before it has been compared with what is known.
#[expect(clippy::large_enum_variant, reason = "nearly every event is the large one")]
enum Raw {
    Seen(Kind, String, WatchEvent),
    Removed(Kind, String),
    StartReached,
    /// Of a newer server.
    Unknown,
}

/// The latest state of many things, again and again: steps between may be skipped, the latest state always comes. A
/// reconnect does not show, except that things may be told again; what went meanwhile is told as removed.
pub struct Watch {
    fabric: Fabric,
    feed: Feed,
    resync: Resync<(Kind, String)>,
    retry: Retry,
    events: VecDeque<WatchEvent>,
}

enum Feed {
    Executions(v1::ObserveExecutionsRequest, Option<Streaming<v1::ObserveExecutionsResponse>>),
    Inspection(v1::WatchRequest, Option<Streaming<v1::WatchResponse>>),
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Fabric {
    /// The latest state of every execution that matches, then each change, without reserving anything. A summary leaves
    /// arguments and results out.
    pub fn observe_executions(&self, filter: ExecutionFilter, summary: bool) -> Watch {
        let request = v1::ObserveExecutionsRequest { filter: Some(filter.into()), summary };
        self.follow(Feed::Executions(request, None))
    }

    /// The present instances, executions and streams, then each change: for a dashboard.
    pub fn watch(&self, options: WatchOptions) -> Watch {
        let request = v1::WatchRequest {
            instances: options.instances,
            executions: options.executions,
            streams: options.streams,
            agent: options.agent,
        };
        self.follow(Feed::Inspection(request, None))
    }

    fn follow(&self, feed: Feed) -> Watch {
        Watch {
            fabric: self.clone(),
            feed,
            resync: Resync::new(),
            retry: Retry::new(),
            events: VecDeque::new(),
        }
    }
}

impl Watch {
    /// The next event, waiting for it if need be. It fails only for what waiting does not mend.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<WatchEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let raw = match &mut self.feed {
                Feed::Executions(request, stream) => {
                    let path = "/perper.v1.Executions/ObserveExecutions";
                    receive(&self.fabric, path, request, stream, &mut self.resync).await.map(from_observation)
                }
                Feed::Inspection(request, stream) => {
                    let path = "/perper.v1.Inspection/Watch";
                    receive(&self.fabric, path, request, stream, &mut self.resync).await.map(from_watch)
                }
            };
            match raw {
                Ok(raw) => {
                    self.retry.succeeded();
                    self.take(raw);
                }
                Err(error) if is_away(error.kind()) => {
                    self.fabric.ready().await?;
                    sleep(self.retry.failed(random::jitter(), false)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, raw: Raw) {
        match raw {
            Raw::Seen(kind, id, event) => {
                self.resync.seen((kind, id));
                self.events.push_back(event);
            }
            Raw::Removed(kind, id) => {
                if self.resync.removed(&(kind, id.clone())) {
                    self.events.push_back(removed(kind, id));
                }
            }
            Raw::StartReached => {
                let first = self.resync.start_reached();
                while let Some((kind, id)) = self.resync.take_gone() {
                    self.events.push_back(removed(kind, id));
                }
                if first {
                    self.events.push_back(WatchEvent::StartReached);
                }
            }
            Raw::Unknown => {}
        }
    }
}

/// The next message of a stream that is opened when it is not open, and forgotten when it breaks.
async fn receive<Q, R>(
    fabric: &Fabric,
    path: &'static str,
    request: &Q,
    stream: &mut Option<Streaming<R>>,
    resync: &mut Resync<(Kind, String)>,
) -> Result<R>
where
    Q: Message + Clone + 'static,
    R: Message + Default + 'static,
{
    let open = match stream {
        Some(open) => open,
        None => {
            let opened = fabric.hub().server_streaming(path, request.clone()).await?;
            resync.begin();
            stream.insert(opened)
        }
    };
    let error = match open.message().await {
        Ok(Some(message)) => return Ok(message),
        Ok(None) => crate::Error::new(crate::ErrorKind::Unavailable, "the Fabric ended the watch"),
        Err(status) => crate::Error::from_status(&status),
    };
    *stream = None;
    Err(error)
}

fn removed(kind: Kind, id: String) -> WatchEvent {
    match kind {
        Kind::Instance => WatchEvent::InstanceRemoved(id),
        Kind::Execution => WatchEvent::ExecutionRemoved(id),
        Kind::Stream => WatchEvent::StreamRemoved(id),
    }
}

fn execution(execution: v1::Execution) -> Raw {
    let id = execution.execution.clone();
    Raw::Seen(Kind::Execution, id, WatchEvent::Execution(execution.into()))
}

fn from_observation(response: v1::ObserveExecutionsResponse) -> Raw {
    use observed::Event as E;
    match response.event {
        Some(E::Execution(it)) => execution(it),
        Some(E::Removed(id)) => Raw::Removed(Kind::Execution, id),
        Some(E::StartReached(_)) => Raw::StartReached,
        None => Raw::Unknown,
    }
}

fn from_watch(response: v1::WatchResponse) -> Raw {
    use watched::Event as E;
    match response.event {
        Some(E::Instance(instance)) => {
            let id = instance.instance.clone();
            Raw::Seen(Kind::Instance, id, WatchEvent::Instance(instance.into()))
        }
        Some(E::Execution(it)) => execution(it),
        Some(E::Stream(stream)) => {
            let id = stream.stream.clone();
            Raw::Seen(Kind::Stream, id, WatchEvent::Stream(stream.into()))
        }
        Some(E::RemovedInstance(id)) => Raw::Removed(Kind::Instance, id),
        Some(E::RemovedExecution(id)) => Raw::Removed(Kind::Execution, id),
        Some(E::RemovedStream(id)) => Raw::Removed(Kind::Stream, id),
        Some(E::StartReached(_)) => Raw::StartReached,
        None => Raw::Unknown,
    }
}
