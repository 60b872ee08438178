//! One server's end of the cluster, as an engine.

use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;

use super::cluster::Cluster;
use crate::engine::{
    Backup, Claim, ClaimDone, Done, Engine, ExecutionQuery, ExecutionView, Items, Observer, Operation, Owned,
    Place, ReadItems, Reservation, Result, SessionId, Subject, unknown,
};

/// One of the servers.
pub(super) struct Server {
    cluster: Arc<Cluster>,
    number: usize,
}

impl Server {
    pub(super) fn new(cluster: Arc<Cluster>, number: usize) -> Self {
        Self { cluster, number }
    }
}

impl Engine for Server {
    fn cluster_id(&self) -> &str {
        self.cluster.data.cluster_id()
    }

    fn features(&self) -> &[&'static str] {
        self.cluster.data.features()
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.cluster.observe(self.number, observer);
    }

    fn follow(&self, subject: Subject) {
        self.cluster.with(self.number, |inbox| inbox.follow(subject));
    }

    fn unfollow(&self, subject: Subject) {
        self.cluster.with(self.number, |inbox| {
            if inbox.alive {
                inbox.unfollow(&subject);
            }
        });
    }

    fn apply(&self, operations: Vec<Operation>, done: Done) {
        let number = self.number;
        self.cluster.send(number, Box::new(move |cluster| cluster.carry_out(number, operations, done)));
    }

    fn answers_unknown(&self) -> bool {
        true
    }

    fn forget_executions(&self, ids: Vec<Arc<str>>) {
        self.cluster.send(self.number, Box::new(move |cluster| cluster.data.forget_executions(ids)));
    }

    fn claim(&self, claims: Vec<Claim>, done: ClaimDone) {
        let number = self.number;
        self.cluster.send_claim(
            number,
            Box::new(move |cluster| {
                let back = Arc::clone(cluster);
                let back = move |answers| back.answer(number, Box::new(move || done(answers)));
                cluster.data.claim(claims, Box::new(back));
            }),
        );
    }

    fn recovered_through(&self) -> u64 {
        self.cluster.data.recovered_through()
    }

    fn adopt(&self, session: SessionId, tokens: &[Bytes]) -> Vec<Reservation> {
        if !self.cluster.flush(self.number) {
            return Vec::new();
        }
        self.cluster.data.adopt(session, tokens)
    }

    fn release_reservations(&self, session: SessionId, keep: &[Bytes]) {
        if self.cluster.flush(self.number) {
            self.cluster.data.release_reservations(session, keep);
        }
    }

    fn open_session(&self, session: SessionId, hello: v1::HelloRequest, done: Done) {
        let number = self.number;
        self.cluster.send(
            number,
            Box::new(move |cluster| {
                let back = Arc::clone(cluster);
                let lost = cluster.loses();
                let back = move |outcomes| {
                    let outcomes = if lost { vec![unknown()] } else { outcomes };
                    back.answer(number, Box::new(move || done(outcomes)));
                };
                cluster.takes_session(number, session);
                cluster.data.open_session(session, hello, Box::new(back));
            }),
        );
    }

    fn close_session(&self, session: SessionId) {
        if self.cluster.flush(self.number) {
            self.cluster.close_session(session);
        }
    }

    fn find_session(&self, session: SessionId) -> Option<Place> {
        self.cluster.data.find_session(session)?;
        Some(if self.cluster.has_session(self.number, session) { Place::Here } else { Place::Elsewhere })
    }

    fn sessions(&self) -> Vec<(SessionId, v1::HelloRequest)> {
        let mut sessions = self.cluster.data.sessions();
        sessions.retain(|(session, _)| self.cluster.has_session(self.number, *session));
        sessions
    }

    fn acknowledge(&self, session: SessionId, through: u64) {
        if self.cluster.flush(self.number) {
            self.cluster.data.acknowledge(session, through);
        }
    }

    fn reservations_of(&self, session: SessionId) -> u64 {
        self.cluster.data.reservations_of(session)
    }

    fn view_execution(&self, id: &str) -> Option<ExecutionView> {
        self.cluster.data.view_execution(id)
    }

    fn scan_executions(&self, query: &ExecutionQuery, after: u64, limit: usize) -> Vec<ExecutionView> {
        self.cluster.data.scan_executions(query, after, limit)
    }

    fn count_executions(&self, query: &ExecutionQuery) -> u64 {
        self.cluster.data.count_executions(query)
    }

    fn read_items(&self, request: ReadItems, done: Box<dyn FnOnce(Result<Items>) + Send>) {
        let number = self.number;
        self.cluster.send(
            number,
            Box::new(move |cluster| {
                let back = Arc::clone(cluster);
                let back = move |items| back.answer(number, Box::new(move || done(items)));
                cluster.data.read_items(request, Box::new(back));
            }),
        );
    }

    fn view_stream(&self, id: &str) -> Option<v1::Stream> {
        self.cluster.data.view_stream(id)
    }

    fn scan_streams(&self, after: &str, limit: usize) -> Vec<v1::Stream> {
        self.cluster.data.scan_streams(after, limit)
    }

    fn scan_listeners(&self, stream: Option<&str>, after: (&str, &str), limit: usize) -> Vec<v1::Listener> {
        self.cluster.data.scan_listeners(stream, after, limit)
    }

    fn scan_states(&self, after: (v1::StateKind, &str), limit: usize) -> Vec<v1::State> {
        self.cluster.data.scan_states(after, limit)
    }

    fn owned_by(&self, instance: &str) -> Vec<Owned> {
        self.cluster.data.owned_by(instance)
    }

    fn backup(&self) -> Result<Backup> {
        self.cluster.data.backup()
    }

    fn close(&self) -> Result<()> {
        self.cluster.close(self.number)
    }
}
