//! Sessions: their leases, the connection that is attached, and what goes with them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use perper_proto::{Reason, v1};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::outbox::Frames;
use super::timers::Timer;
use super::{Broker, Connection, SessionId, lock, milliseconds};
use crate::engine::{
    EndReason, ExecutionQuery, ExecutionRequest, Place, Request, Result, StreamRequest, Subject, Timestamp,
    is_unknown,
};

/// The one version of the protocol that there is.
const PROTOCOL: u32 = 1;

/// A client process.
pub(super) struct Session {
    id: SessionId,
    hello: v1::HelloRequest,
    /// When its client last gave a sign, in the server's milliseconds.
    last_seen: AtomicU64,
    // A plain mutex, held for look-ups.
    state: Mutex<State>,
    /// Calls of former connections whose end the client has not received, by the sequence of the call.
    unreceived: Mutex<HashMap<u64, Arc<str>>>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// Since when there is none.
    detached: Option<Timestamp>,
    /// Highest sequence of which it is known that outcomes need not be kept.
    acknowledged: u64,
    /// It is being ended: until that is done nobody attaches it.
    ended: bool,
    /// Listener records of this session, by stream and listener: with their epoch.
    listeners: HashMap<(Arc<str>, String), u64>,
}

/// What an `Attach` stream begins with.
pub(crate) struct Attached {
    pub(crate) connection: Arc<Connection>,
    pub(crate) frames: Frames,
}

impl Broker {
    /// What the server says about itself to a client that can speak these versions.
    pub(crate) fn hello(&self, hello: &v1::HelloRequest) -> Result<v1::HelloResponse> {
        let (min, max) = (hello.protocol_min, hello.protocol_max);
        if min > PROTOCOL || max < PROTOCOL {
            return Err(Reason::ProtocolNotSupported
                .error(format!(
                    "the client speaks protocol versions {min} to {max}, this server speaks {PROTOCOL}; use a client library \
                     that fits"
                ))
                .with("protocol", PROTOCOL));
        }
        Ok(v1::HelloResponse {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: self.engine.cluster_id().to_owned(),
            protocol: PROTOCOL,
            features: self.engine.features().iter().map(|&feature| feature.to_owned()).collect(),
            limits: Some(v1::Limits::from(&self.config.limits)),
        })
    }

    pub(super) fn session(&self, id: SessionId) -> Option<Arc<Session>> {
        lock(&self.sessions).get(&id).cloned()
    }

    fn known_session(&self, id: SessionId) -> Result<Arc<Session>> {
        self.session(id).ok_or_else(|| expired(id))
    }

    /// A unary client's session: opens or renews it.
    pub(crate) async fn open_session(
        self: &Arc<Self>,
        request: v1::OpenSessionRequest,
    ) -> Result<v1::OpenSessionResponse> {
        let id = session_id(&request.session)?;
        let hello = request.hello.unwrap_or_default();
        let response = self.hello(&hello)?;
        match self.session(id) {
            Some(session) => {
                session.seen(self.clock.now());
                let mut state = lock(&session.state);
                if state.ended {
                    return Err(expired(id));
                }
                // A client that renews by unary calls has no stream to attach.
                state.detached = None;
            }
            None => self.create_session(id, hello).await?,
        }
        self.came_back(id);
        Ok(v1::OpenSessionResponse {
            hello: Some(response),
            lease_ms: milliseconds(self.config.session_lease),
            reset_grace_ms: self.announced_grace(),
        })
    }

    /// Attaches a client's stream to its session.
    pub(crate) async fn attach(self: &Arc<Self>, attach: v1::Attach) -> Result<Attached> {
        let id = session_id(&attach.session)?;
        let hello = attach.hello.unwrap_or_default();
        let response = self.hello(&hello)?;
        let mut existed = self.session(id).is_some();
        if !existed {
            // It may be at another server, which lets go of it then.
            existed = self.engine.find_session(id).is_some();
            if attach.resume && !existed {
                self.known_session(id)?;
            }
            self.create_session(id, hello).await?;
        }
        let session = self.known_session(id)?;
        session.seen(self.clock.now());

        let connection = Connection::new(id, existed, Arc::clone(&self.metrics));
        let former = {
            let mut state = lock(&session.state);
            if state.ended {
                return Err(expired(id));
            }
            state.detached = None;
            state.connection.replace(Arc::clone(&connection))
        };
        if let Some(former) = former {
            let error = Reason::SessionTakenOver
                .error(format!("session {id} has been attached by another connection"));
            self.close_connection(&session, &former, Some(error));
        }
        connection.outbox.add(64, |frame| {
            frame.attached = Some(v1::Attached {
                hello: Some(response),
                lease_ms: milliseconds(self.config.session_lease),
                resumed: existed,
                reset_grace_ms: self.announced_grace(),
            });
            frame.draining = self.is_draining();
        });
        if existed {
            self.keep_reservations(&connection, &attach.held_reservations);
        }
        self.came_back(id);
        let frames = Frames::new(Arc::clone(&connection.outbox), {
            let (broker, connection) = (Arc::downgrade(self), Arc::clone(&connection));
            move || {
                if let Some(broker) = broker.upgrade() {
                    broker.disconnected(&connection);
                }
            }
        });
        Ok(Attached { connection, frames })
    }

    /// The grace after a broken connection. 0 would say that none is told.
    fn announced_grace(&self) -> u64 {
        milliseconds(self.config.reset_grace).max(1)
    }

    /// Holds the session to what it says it works on: the rest is given to others, and what is gone is revoked.
    fn keep_reservations(&self, connection: &Arc<Connection>, held: &[Bytes]) {
        let session = connection.session;
        let stands = self.engine.adopt(session, held);
        self.engine.release_reservations(session, held);
        for token in held.iter().filter(|token| !stands.iter().any(|reservation| reservation.token == *token))
        {
            self.revoke(session, token.clone(), EndReason::ReservationLost);
        }
    }

    async fn create_session(self: &Arc<Self>, id: SessionId, hello: v1::HelloRequest) -> Result<()> {
        loop {
            let (sender, receiver) = oneshot::channel();
            self.engine.open_session(
                id,
                hello.clone(),
                Box::new(move |mut outcomes| drop(sender.send(outcomes.pop()))),
            );
            match receiver.await {
                Ok(Some(Ok(_))) => break,
                // Recording it once more changes nothing.
                Ok(Some(outcome)) if is_unknown(&outcome) => tokio::task::yield_now().await,
                Ok(Some(Err(error))) => return Err(error),
                Ok(None) | Err(_) => return Err(Reason::Internal.error("the engine gave no outcome")),
            }
        }
        tracing::info!(session = %id, library = hello.library, version = hello.version, "a session is open");
        self.enter_session(id, hello);
        Ok(())
    }

    fn enter_session(&self, id: SessionId, hello: v1::HelloRequest) {
        let now = self.clock.now();
        let session = Session {
            id,
            hello,
            last_seen: AtomicU64::new(now.0),
            // A whole lease, not only the grace of a connection that broke: it may be renewed without a stream.
            state: Mutex::default(),
            unreceived: Mutex::default(),
        };
        // Two streams of a client may open its session at once; what the first has begun stays.
        lock(&self.sessions).entry(id).or_insert_with(|| Arc::new(session));
        let until = now.plus(milliseconds(self.config.session_lease));
        self.timers.set(Timer::Lease(id), self.clock.instant(until));
    }

    /// Renews the leases of the sessions of a former boot, and keeps back what they may be working on.
    pub(super) fn recover_sessions(&self) {
        let sessions = self.engine.sessions();
        if sessions.is_empty() {
            return;
        }
        self.dispatcher.hold_recovered(self.engine.recovered_through());
        lock(&self.recovering).extend(sessions.iter().map(|(id, _)| *id));
        for (id, hello) in sessions {
            self.enter_session(id, hello);
        }
    }

    /// A session of a former boot has come back, or is over.
    fn came_back(self: &Arc<Self>, id: SessionId) {
        let mut recovering = lock(&self.recovering);
        if recovering.remove(&id) && recovering.is_empty() {
            drop(recovering);
            self.dispatcher.release_recovered();
        }
    }

    /// A sign of a session's client.
    pub(crate) fn seen(&self, id: SessionId) -> Result<()> {
        self.known_session(id)?.seen(self.clock.now());
        Ok(())
    }

    /// The client has received every outcome up to a sequence.
    pub(super) fn acknowledged(&self, id: SessionId, through: u64) {
        let Some(session) = self.session(id) else { return };
        let mut state = lock(&session.state);
        if through <= state.acknowledged {
            return;
        }
        state.acknowledged = through;
        drop(state);
        self.parked.forget(id, through);
        self.engine.acknowledge(id, through);
    }

    /// Takes note of a listener record that goes with the session; false if that has gone already.
    pub(super) fn owns_listener(&self, id: SessionId, stream: &Arc<str>, listener: &str, epoch: u64) -> bool {
        let Some(session) = self.session(id) else { return false };
        let mut state = lock(&session.state);
        if !state.ended {
            state.listeners.insert((Arc::clone(stream), listener.to_owned()), epoch);
        }
        !state.ended
    }

    pub(super) fn disowns_listener(&self, id: SessionId, stream: &Arc<str>, listener: &str) {
        if let Some(session) = self.session(id) {
            lock(&session.state).listeners.remove(&(Arc::clone(stream), listener.to_owned()));
        }
    }

    /// The stream of a connection is gone.
    fn disconnected(self: &Arc<Self>, connection: &Arc<Connection>) {
        let Some(session) = self.session(connection.session) else { return };
        let mut state = lock(&session.state);
        if !state.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            return;
        }
        state.connection = None;
        let now = self.clock.now();
        state.detached = Some(now);
        drop(state);
        self.close_connection(&session, connection, None);
        let until = now.plus(milliseconds(self.config.reset_grace));
        self.timers.set(Timer::Lease(session.id), self.clock.instant(until));
    }

    /// Ends what a connection has asked for. What belongs to the session stays.
    fn close_connection(&self, session: &Session, connection: &Arc<Connection>, error: Option<v1::Error>) {
        connection.outbox.end(error.map(|error| error.to_status()));
        let open = std::mem::take(&mut *connection.open());
        for (listen, filters) in open.listens.values() {
            self.dispatcher.unlisten(listen, filters);
        }
        for subscription in open.listeners.values() {
            self.deliveries.detach(subscription);
        }
        lock(&session.unreceived).extend(open.calls);
        for execution in self.waits.drop_dead() {
            self.engine.unfollow(Subject::End(execution));
        }
    }

    pub(super) fn check_lease(self: &Arc<Self>, id: SessionId) {
        let Some(session) = self.session(id) else { return };
        if self.engine.find_session(id) == Some(Place::Elsewhere) {
            return self.let_go(id);
        }
        let now = self.clock.now();
        let lease = Timestamp(session.last_seen.load(Ordering::Relaxed))
            .plus(milliseconds(self.config.session_lease));
        let until = match lock(&session.state).detached {
            // Who leaves a server that stops has been told to, and must not lose by it what its successor would renew,
            // however long the last client takes.
            Some(_) | None if self.is_draining() => lease,
            Some(detached) => lease.min(detached.plus(milliseconds(self.config.reset_grace))),
            None => lease,
        };
        if until > now {
            self.timers.set(Timer::Lease(id), self.clock.instant(until));
        } else {
            tracing::info!(session = %id, library = session.hello.library, "a session's lease has run out");
            self.end_session(id);
        }
    }

    /// A session has been attached at another server. Told late, it may have come back since.
    pub(super) fn let_go(&self, id: SessionId) {
        if self.engine.find_session(id) == Some(Place::Here) {
            return;
        }
        let Some(session) = lock(&self.sessions).remove(&id) else { return };
        self.timers.clear(&Timer::Lease(id));
        let connection = lock(&session.state).connection.take();
        if let Some(connection) = connection {
            let error = Reason::SessionTakenOver
                .error(format!("session {id} has been attached by another connection, at another server"));
            self.close_connection(&session, &connection, Some(error));
        }
        self.parked.forget(id, u64::MAX);
    }

    /// The server that had a session is gone: its client has a whole lease to come back, here or elsewhere.
    pub(super) fn inherit(&self, id: SessionId, hello: v1::HelloRequest) {
        if self.session(id).is_none() && self.engine.find_session(id) == Some(Place::Here) {
            self.enter_session(id, hello);
        }
    }

    /// Ends a session: gives back what it reserved, cancels what it waits for, removes its unnamed listeners.
    pub(crate) fn end_session(self: &Arc<Self>, id: SessionId) {
        let Some(session) = self.session(id) else { return };
        let connection = {
            let mut state = lock(&session.state);
            if std::mem::replace(&mut state.ended, true) {
                return;
            }
            state.connection.take()
        };
        tracing::info!(session = %id, "a session is over");
        self.timers.clear(&Timer::Lease(id));
        if let Some(connection) = connection {
            // The client that closed its session knows; one whose lease ran out must be told.
            let expired = Reason::SessionExpired.error(format!("session {id} is over"));
            self.close_connection(&session, &connection, Some(expired));
        }
        self.engine.release_reservations(id, &[]);

        let query = ExecutionQuery { caller: Some(id), ..ExecutionQuery::default() };
        let running = self.engine.scan_executions(&query, 0, usize::MAX);
        let mut follow_ups: Vec<_> = running
            .iter()
            .map(|view| {
                Request::Execution(ExecutionRequest::End(view.execution.id.to_string(), EndReason::Cancelled))
            })
            .collect();
        let listeners = std::mem::take(&mut lock(&session.state).listeners);
        follow_ups.extend(listeners.into_iter().map(|((stream, listener), epoch)| {
            Request::Stream(StreamRequest::DetachListener { stream: stream.to_string(), listener, epoch })
        }));
        self.follow_up(follow_ups);
        let until = self.clock.now().plus(milliseconds(self.config.result_retention));
        for execution in std::mem::take(&mut *lock(&session.unreceived)).into_values() {
            self.timers.set(Timer::Retention(execution), self.clock.instant(until));
        }
        self.engine.close_session(id);
        // Last, so that whoever attaches meanwhile finds it over, and does not begin anew what is closed after that.
        lock(&self.sessions).remove(&id);
        self.parked.forget(id, u64::MAX);
        self.came_back(id);
    }

    /// Tells a session that a reservation of it is over.
    pub(super) fn revoke(&self, session: SessionId, token: Bytes, reason: EndReason) {
        let Some(session) = self.session(session) else { return };
        if let Some(connection) = &lock(&session.state).connection {
            let revocation = v1::Revocation { reservation: token, reason: reason.reason().name().to_owned() };
            connection.outbox.add(64, |frame| frame.revocations.push(revocation));
        }
    }

    /// Tells every client to connect elsewhere, or again later, and ends streams as their clients go.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
        for session in lock(&self.sessions).values() {
            if let Some(connection) = &lock(&session.state).connection {
                connection.outbox.add(1, |frame| frame.draining = true);
            }
        }
    }

    /// Ends what is left when the grace of a shutdown is over.
    pub(crate) fn stop(&self) {
        self.timers.close();
        for session in lock(&self.sessions).values() {
            if let Some(connection) = &lock(&session.state).connection {
                connection.outbox.end(Some(Reason::Draining.error("the server has stopped").to_status()));
            }
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when the server begins to stop.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.draining.clone()
    }

    pub(crate) fn count_sessions(&self) -> u64 {
        lock(&self.sessions).len() as u64
    }

    /// Attach streams, listens and attached listeners.
    pub(crate) fn count_subscriptions(&self) -> u64 {
        let sessions: Vec<_> = lock(&self.sessions).values().cloned().collect();
        let connections = sessions.iter().filter_map(|session| lock(&session.state).connection.clone());
        connections.map(|connection| 1 + connection.subscriptions()).sum()
    }

    /// Sessions, for inspection.
    pub(crate) fn session_messages(&self) -> Vec<v1::Session> {
        let now = self.clock.now();
        let lease = milliseconds(self.config.session_lease);
        let mut sessions: Vec<_> = lock(&self.sessions).values().cloned().collect();
        sessions.sort_by_key(|session| session.id);
        sessions
            .iter()
            .map(|session| v1::Session {
                session: Bytes::copy_from_slice(&session.id.to_bytes()),
                library: session.hello.library.clone(),
                language: session.hello.language.clone(),
                version: session.hello.version.clone(),
                connected: lock(&session.state).connection.is_some(),
                lease_remaining_ms: Timestamp(session.last_seen.load(Ordering::Relaxed))
                    .plus(lease)
                    .remaining(now),
                reservations: self.engine.reservations_of(session.id),
            })
            .collect()
    }
}

impl Session {
    pub(super) fn unreceived(&self) -> &Mutex<HashMap<u64, Arc<str>>> {
        &self.unreceived
    }

    fn seen(&self, now: Timestamp) {
        self.last_seen.store(now.0, Ordering::Relaxed);
    }
}

/// The refusal of a session that is over.
fn expired(id: SessionId) -> v1::Error {
    Reason::SessionExpired
        .error(format!("session {id} is not known: its lease ran out, or it was closed; open a new one"))
        .with("session", id)
}

/// The session that these bytes name.
pub(crate) fn session_id(bytes: &[u8]) -> Result<SessionId> {
    SessionId::from_bytes(bytes).ok_or_else(|| {
        Reason::InvalidArgument.error(format!("a session's id has 16 bytes, this one has {}", bytes.len()))
    })
}
