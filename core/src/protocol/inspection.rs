use std::time::Duration;

use bytes::Bytes;
use perper_proto::v1;

use super::{executions::ExecutionInfo, fabric::Fabric, listen::ExecutionFilter, streams::StreamInfo};
use crate::Result;

/// A page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// For the next page; empty on the last one.
    pub next: Bytes,
}

/// Which page of a listing: its size (0: the server's default) and the token that the last page gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many entries.
    pub size: u32,
    /// [`Page::next`] of the last page; empty for the first one.
    pub token: Bytes,
}

impl From<PageRequest> for v1::Page {
    fn from(page: PageRequest) -> Self {
        v1::Page { size: page.size, token: page.token }
    }
}

/// An agent that has executions, instances or listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Name.
    pub agent: String,
    /// Instances of it.
    pub instances: u64,
    /// Executions that nobody has.
    pub pending_executions: u64,
    /// Executions that a worker has.
    pub reserved_executions: u64,
    /// Listens of attached sessions.
    pub listens: u64,
}

/// An instance of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceInfo {
    /// Id.
    pub instance: String,
    /// Its agent.
    pub agent: String,
    /// Which life of it, as the Fabric counts.
    pub incarnation: u64,
    /// The instance that owns it, if one does.
    pub owner: Option<String>,
    /// Time since it was started.
    pub age: Duration,
    /// It is being stopped.
    pub stopping: bool,
}

/// A listener of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerInfo {
    /// The stream.
    pub stream: String,
    /// Its name; empty for an unnamed one.
    pub name: String,
    /// The instance that owns it, if one does.
    pub owner: Option<String>,
    /// How often it was taken over.
    pub epoch: u64,
    /// Items up to this key are processed.
    pub acknowledged_key: Option<i64>,
    /// A session is attached.
    pub attached: bool,
}

/// Which kind of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// A dictionary.
    Dictionary,
    /// A list.
    List,
    /// A kind that this version does not know.
    Unknown,
}

/// A dictionary or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateInfo {
    /// Which of the two.
    pub kind: StateKind,
    /// Id.
    pub state: String,
    /// The instance that owns it, if one does.
    pub owner: Option<String>,
    /// Entries or elements.
    pub count: u64,
}

/// A client process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Id, 16 bytes.
    pub session: Bytes,
    /// Its library.
    pub library: String,
    /// Its language.
    pub language: String,
    /// The library's version.
    pub version: String,
    /// A connection is attached.
    pub connected: bool,
    /// How long it lives without a sign.
    pub lease_remaining: Duration,
    /// Executions that it works on.
    pub reservations: u64,
}

impl From<v1::AgentSummary> for AgentInfo {
    fn from(agent: v1::AgentSummary) -> Self {
        AgentInfo {
            agent: agent.agent,
            instances: agent.instances,
            pending_executions: agent.pending_executions,
            reserved_executions: agent.reserved_executions,
            listens: agent.listens,
        }
    }
}

impl From<v1::Instance> for InstanceInfo {
    fn from(instance: v1::Instance) -> Self {
        InstanceInfo {
            instance: instance.instance,
            agent: instance.agent,
            incarnation: instance.incarnation,
            owner: owner(instance.owner),
            age: Duration::from_millis(instance.age_ms),
            stopping: instance.stopping,
        }
    }
}

impl From<v1::Listener> for ListenerInfo {
    fn from(listener: v1::Listener) -> Self {
        ListenerInfo {
            stream: listener.stream,
            name: listener.name,
            owner: owner(listener.owner),
            epoch: listener.epoch,
            acknowledged_key: listener.acknowledged_key,
            attached: listener.attached,
        }
    }
}

impl From<v1::State> for StateInfo {
    fn from(state: v1::State) -> Self {
        let kind = match state.kind() {
            v1::StateKind::Dictionary => StateKind::Dictionary,
            v1::StateKind::List => StateKind::List,
            v1::StateKind::Unspecified => StateKind::Unknown,
        };
        StateInfo { kind, state: state.state, owner: owner(state.owner), count: state.count }
    }
}

impl From<v1::Session> for SessionInfo {
    fn from(session: v1::Session) -> Self {
        SessionInfo {
            session: session.session,
            library: session.library,
            language: session.language,
            version: session.version,
            connected: session.connected,
            lease_remaining: Duration::from_millis(session.lease_remaining_ms),
            reservations: session.reservations,
        }
    }
}

fn owner(owner: Option<v1::Owner>) -> Option<String> {
    owner.map(|owner| owner.instance).filter(|instance| !instance.is_empty())
}

fn page<T, U: From<T>>(entries: Vec<T>, next: Bytes) -> Page<U> {
    Page { entries: entries.into_iter().map(U::from).collect(), next }
}

impl Fabric {
    /// Agents that have executions, instances or listens.
    pub async fn list_agents(&self, request: PageRequest) -> Result<Page<AgentInfo>> {
        let request = v1::ListAgentsRequest { page: Some(request.into()) };
        let response: v1::ListAgentsResponse =
            self.hub().unary("/perper.v1.Inspection/ListAgents", request).await?;
        Ok(page(response.agents, response.next))
    }

    /// Instances of an agent; empty: of every agent.
    pub async fn list_instances(
        &self,
        agent: impl Into<String>,
        request: PageRequest,
    ) -> Result<Page<InstanceInfo>> {
        let request = v1::ListInstancesRequest { page: Some(request.into()), agent: agent.into() };
        let response: v1::ListInstancesResponse =
            self.hub().unary("/perper.v1.Inspection/ListInstances", request).await?;
        Ok(page(response.instances, response.next))
    }

    /// Executions that match; empty fields match everything. A summary leaves arguments and results out.
    pub async fn list_executions(
        &self,
        filter: ExecutionFilter,
        summary: bool,
        request: PageRequest,
    ) -> Result<Page<ExecutionInfo>> {
        let request =
            v1::ListExecutionsRequest { page: Some(request.into()), filter: Some(filter.into()), summary };
        let response: v1::ListExecutionsResponse =
            self.hub().unary("/perper.v1.Inspection/ListExecutions", request).await?;
        Ok(page(response.executions, response.next))
    }

    /// Streams.
    pub async fn list_streams(&self, request: PageRequest) -> Result<Page<StreamInfo>> {
        let request = v1::ListStreamsRequest { page: Some(request.into()) };
        let response: v1::ListStreamsResponse =
            self.hub().unary("/perper.v1.Inspection/ListStreams", request).await?;
        Ok(page(response.streams, response.next))
    }

    /// Listeners of a stream; empty: of every stream.
    pub async fn list_listeners(
        &self,
        stream: impl Into<String>,
        request: PageRequest,
    ) -> Result<Page<ListenerInfo>> {
        let request = v1::ListListenersRequest { page: Some(request.into()), stream: stream.into() };
        let response: v1::ListListenersResponse =
            self.hub().unary("/perper.v1.Inspection/ListListeners", request).await?;
        Ok(page(response.listeners, response.next))
    }

    /// Dictionaries and lists.
    pub async fn list_states(&self, request: PageRequest) -> Result<Page<StateInfo>> {
        let request = v1::ListStatesRequest { page: Some(request.into()) };
        let response: v1::ListStatesResponse =
            self.hub().unary("/perper.v1.Inspection/ListStates", request).await?;
        Ok(page(response.states, response.next))
    }

    /// Sessions.
    pub async fn list_sessions(&self, request: PageRequest) -> Result<Page<SessionInfo>> {
        let request = v1::ListSessionsRequest { page: Some(request.into()) };
        let response: v1::ListSessionsResponse =
            self.hub().unary("/perper.v1.Inspection/ListSessions", request).await?;
        Ok(page(response.sessions, response.next))
    }
}
