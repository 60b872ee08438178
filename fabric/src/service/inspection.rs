use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::{Reason, v1};
use tonic::{Request, Response, Status};
use v1::inspection_server::Inspection;

use super::Service;
use crate::engine::{ExecutionQuery, ExecutionView};

/// Entries of a page when the client does not say.
const PAGE: usize = 256;
/// Entries of a page at the most.
const LARGEST_PAGE: usize = 4096;

const REGISTRY: &str = "Registry";

#[tonic::async_trait]
impl Inspection for Service {
    type WatchStream = super::watch::Watch;

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (size, token) = page(request.into_inner().page);
        let after = text(&token)?;
        let mut agents: BTreeMap<Arc<str>, v1::AgentSummary> = BTreeMap::new();
        let mut summary = |name: &Arc<str>, change: &dyn Fn(&mut v1::AgentSummary)| {
            let entry = agents.entry(Arc::clone(name));
            change(
                entry.or_insert_with(|| v1::AgentSummary { agent: name.to_string(), ..Default::default() }),
            );
        };
        for (agent, listens) in self.0.listens() {
            summary(&agent, &|summary| summary.listens += listens);
        }
        let mut last = 0;
        loop {
            let views = self.0.engine().scan_executions(&ExecutionQuery::default(), last, LARGEST_PAGE);
            let Some(end) = views.last() else { break };
            last = end.execution.number;
            for view in &views {
                if &*view.execution.agent == REGISTRY {
                    summary(&view.execution.instance, &|summary| summary.instances += 1);
                    continue;
                }
                summary(&view.execution.agent, &|summary| match view.state {
                    v1::ExecutionState::Pending => summary.pending_executions += 1,
                    v1::ExecutionState::Reserved => summary.reserved_executions += 1,
                    _ => {}
                });
            }
        }
        let agents: Vec<_> = agents.into_values().filter(|agent| *agent.agent > *after).take(size).collect();
        let next = next(size, agents.len(), || agents.last().map(|agent| agent.agent.clone().into()));
        Ok(Response::new(v1::ListAgentsResponse { agents, next }))
    }

    async fn list_instances(
        &self,
        request: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let request = request.into_inner();
        let (size, token) = page(request.page);
        let query = ExecutionQuery {
            agent: Some(Arc::from(REGISTRY)),
            instance: (!request.agent.is_empty()).then(|| Arc::from(request.agent)),
            ..ExecutionQuery::default()
        };
        let views = self.0.engine().scan_executions(&query, number(&token)?, size);
        let next = next(size, views.len(), || views.last().map(token_of));
        let now = self.0.clock().now();
        let instances =
            views.iter().map(|view| self.0.instance_message(&view.to_message(now, true))).collect();
        Ok(Response::new(v1::ListInstancesResponse { instances, next }))
    }

    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let request = request.into_inner();
        let (size, token) = page(request.page);
        let query = ExecutionQuery::from(&request.filter.unwrap_or_default());
        let views = self.0.engine().scan_executions(&query, number(&token)?, size);
        let next = next(size, views.len(), || views.last().map(token_of));
        let now = self.0.clock().now();
        let executions = views.iter().map(|view| view.to_message(now, request.summary)).collect();
        Ok(Response::new(v1::ListExecutionsResponse { executions, next }))
    }

    async fn list_streams(
        &self,
        request: Request<v1::ListStreamsRequest>,
    ) -> Result<Response<v1::ListStreamsResponse>, Status> {
        let (size, token) = page(request.into_inner().page);
        let streams = self.0.engine().scan_streams(&text(&token)?, size);
        let next = next(size, streams.len(), || streams.last().map(|stream| stream.stream.clone().into()));
        Ok(Response::new(v1::ListStreamsResponse { streams, next }))
    }

    async fn list_listeners(
        &self,
        request: Request<v1::ListListenersRequest>,
    ) -> Result<Response<v1::ListListenersResponse>, Status> {
        let request = request.into_inner();
        let (size, token) = page(request.page);
        // Stream and name, with a zero byte that no stream's id of a listing begins with between them.
        let token = text(&token)?;
        let (stream, name) = token.split_once('\n').unwrap_or((&token, ""));
        let only = (!request.stream.is_empty()).then_some(&*request.stream);
        let listeners = self.0.engine().scan_listeners(only, (stream, name), size);
        let next = next(size, listeners.len(), || {
            listeners.last().map(|listener| format!("{}\n{}", listener.stream, listener.name).into())
        });
        Ok(Response::new(v1::ListListenersResponse { listeners, next }))
    }

    async fn list_states(
        &self,
        request: Request<v1::ListStatesRequest>,
    ) -> Result<Response<v1::ListStatesResponse>, Status> {
        let (size, token) = page(request.into_inner().page);
        let token = text(&token)?;
        let (kind, after) = match token.split_at_checked(1) {
            Some(("l", id)) => (v1::StateKind::List, id),
            Some((_, id)) => (v1::StateKind::Dictionary, id),
            None => (v1::StateKind::Dictionary, ""),
        };
        let states = self.0.engine().scan_states((kind, after), size);
        let next = next(size, states.len(), || {
            states.last().map(|state| {
                let kind = if state.kind() == v1::StateKind::List { 'l' } else { 'd' };
                format!("{kind}{}", state.state).into()
            })
        });
        Ok(Response::new(v1::ListStatesResponse { states, next }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let (size, token) = page(request.into_inner().page);
        let sessions: Vec<_> = self
            .0
            .session_messages()
            .into_iter()
            .filter(|session| session.session > token)
            .take(size)
            .collect();
        let next = next(size, sessions.len(), || sessions.last().map(|session| session.session.clone()));
        Ok(Response::new(v1::ListSessionsResponse { sessions, next }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(super::watch::Watch::new(&self.0, request.into_inner())))
    }
}

fn page(page: Option<v1::Page>) -> (usize, Bytes) {
    let page = page.unwrap_or_default();
    let size = if page.size == 0 { PAGE } else { (page.size as usize).min(LARGEST_PAGE) };
    (size, page.token)
}

/// The token of the next page: there is one unless this page was not filled.
fn next(size: usize, count: usize, token: impl FnOnce() -> Option<Bytes>) -> Bytes {
    if count < size { Bytes::new() } else { token().unwrap_or_default() }
}

fn token_of(view: &ExecutionView) -> Bytes {
    Bytes::copy_from_slice(&view.execution.number.to_be_bytes())
}

fn number(token: &[u8]) -> Result<u64, Status> {
    match token {
        [] => Ok(0),
        token => token.try_into().map(u64::from_be_bytes).map_err(|_| foreign_token()),
    }
}

fn text(token: &[u8]) -> Result<String, Status> {
    String::from_utf8(token.to_vec()).map_err(|_| foreign_token())
}

fn foreign_token() -> Status {
    Reason::InvalidArgument
        .error("the page token is not one of this listing; pass what the last page said")
        .into()
}
