//! The embedded engine: objects in memory, every change of theirs on an ordered store.
//!
//! Objects of one kind are a [`Shard`]: plain data that one thread changes at a time. A change is made in memory and its
//! writes are queued under the shard's lock, so that the store sees changes of one object in their order; outcomes and
//! events wait until the committer has made them durable. Shards write disjoint key spaces, so they need no order among
//! each other.

mod changes;
mod dictionaries;
mod executions;
mod lists;
mod outcomes;
mod restored;
mod sessions;
mod shard;
mod states;
mod streams;
mod tally;
mod token;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use perper_proto::{Reason, v1};
use perper_store::{ClusterId, Committer, CommitterOptions, ErrorKind, HeadRoom, Store, StoreKind};

use self::changes::Changes;
use self::dictionaries::Dictionaries;
use self::executions::{ExecutionLimits, Executions};
use self::lists::Lists;
use self::outcomes::Outcomes;
pub use self::restored::new_life;
use self::sessions::Sessions;
use self::shard::{Guarded, Shard};
use self::states::Sweeper;
use self::streams::{StreamLimits, Streams};
use self::token::Seal;
use super::{
    Backup, Claim, ClaimDone, Clock, Done, Engine, Event, ExecutionQuery, ExecutionView, Identity, Items,
    Observer, Operation, Outcome, Owned, Place, ReadItems, Request, Reservation, Result, SessionId, Subject,
};

/// What the embedded engine needs to know beside its store.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Made when the data was.
    pub cluster_id: u128,
    /// Counts boots on this data.
    pub boot_epoch: u64,
    /// Reservations of one execution in one work group before it fails.
    pub attempts: u32,
    /// How long the reason of an end is remembered after the object is gone, in milliseconds.
    pub tombstone_ms: u64,
    /// Items that a stream keeps while nobody listens; past it, writers are refused.
    pub unheard_items: u64,
    /// Bytes of such items.
    pub unheard_bytes: u64,
    /// Bytes of one item of a stream.
    pub value_bytes: u64,
    /// Bytes of recent batches kept in memory per server, so that listeners who keep up cost no reads.
    pub tail_cache_bytes: usize,
}

/// Bytes of the disk above its reserve that a backup leaves free: it gives way before anybody's writes are turned away.
const BACKUP_SPARE: u64 = 256 << 20;

/// The engine of a single server.
pub struct Embedded {
    cluster_id: String,
    /// Whose data a backup says it holds.
    identity: (ClusterId, u64),
    /// Bytes of the disk that a backup leaves free.
    backup_spare: u64,
    clock: Clock,
    store: Arc<dyn Store>,
    committer: Arc<Committer>,
    observer: OnceLock<Arc<dyn Observer>>,
    sessions: Sessions,
    executions: Arc<Guarded<Executions>>,
    streams: Arc<Guarded<Streams>>,
    dictionaries: Arc<Guarded<Dictionaries>>,
    lists: Arc<Guarded<Lists>>,
    sweeper: Sweeper,
}

impl Embedded {
    /// Reads back what the store holds. Returns when everything is in memory.
    pub fn open(
        store: Arc<dyn Store>,
        head_room: Option<HeadRoom>,
        clock: Clock,
        options: &EmbeddedOptions,
    ) -> perper_store::Result<Arc<Self>> {
        let (sessions, secret) = Sessions::recover(&*store)?;
        let limits = ExecutionLimits { attempts: options.attempts, tombstone_ms: options.tombstone_ms };
        let epoch = u32::try_from(options.boot_epoch).unwrap_or(u32::MAX);
        let mut executions = Executions::new(limits, Seal::new(secret.bytes), epoch);
        executions.recover(&*store)?;
        let limits = StreamLimits {
            unheard_items: options.unheard_items,
            unheard_bytes: options.unheard_bytes,
            value_bytes: options.value_bytes,
            tail_cache_bytes: options.tail_cache_bytes,
            tombstone_ms: options.tombstone_ms,
        };
        let mut streams = Streams::new(limits, clock, Arc::clone(&store));
        let known = sessions.all().into_iter().map(|(session, _)| session).collect();
        let orphans = streams.recover(&*store, &known)?;
        let (sweeps, sweep_queue) = states::queue();
        let dictionaries = Dictionaries::recover(Arc::clone(&store), options.tombstone_ms, sweeps.clone())?;
        let lists = Lists::recover(Arc::clone(&store), options.tombstone_ms, sweeps.clone())?;
        let reserve = head_room.as_ref().map_or(0, HeadRoom::reserve);
        let backup_spare = reserve.saturating_add(BACKUP_SPARE);
        let outcomes = |shard| Outcomes::recover(shard, &*store);
        let committer =
            Arc::new(Committer::start(Arc::clone(&store), head_room, CommitterOptions::default())?);
        let this = Self {
            cluster_id: format!("{:032x}", options.cluster_id),
            identity: (ClusterId(options.cluster_id), options.boot_epoch),
            backup_spare,
            clock,
            observer: OnceLock::new(),
            sessions,
            executions: Arc::new(Guarded::new(executions, outcomes(Executions::NUMBER)?)),
            streams: Arc::new(Guarded::new(streams, outcomes(Streams::NUMBER)?)),
            dictionaries: Arc::new(Guarded::new(dictionaries, outcomes(Dictionaries::NUMBER)?)),
            lists: Arc::new(Guarded::new(lists, outcomes(Lists::NUMBER)?)),
            sweeper: Sweeper::start(sweeps, sweep_queue, Arc::clone(&store), Arc::clone(&committer))?,
            committer,
            store,
        };
        if let Some(batch) = secret.write {
            this.committer.commit(batch).wait()?;
        }
        if !orphans.is_empty() {
            this.committer.commit(orphans).wait()?;
        }
        this.end_former_life()?;
        Ok(Arc::new(this))
    }

    /// Why nothing is acknowledged any more, if that is so.
    pub fn failure(&self) -> Option<perper_store::Error> {
        self.committer.failure()
    }

    /// The committer, for metrics.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }

    /// What must be followed by something that may not have been done yet.
    pub(super) fn intents(&self) -> Vec<Event> {
        let mut events = self.executions.with(|executions| executions.recovery_events());
        let generators = self.executions.with(|executions| executions.generators());
        events.extend(self.streams.with(|streams| streams.recovery_events(generators)));
        events
    }

    /// Attached calls of attempts that are over, of executions that are not. After a restart this would be too much: a
    /// session may come back that works on one.
    #[cfg(test)]
    pub(super) fn unswept(&self) -> Vec<Event> {
        self.executions.with(|executions| executions.unswept())
    }

    fn notify(&self, events: Vec<Event>) {
        if let Some(observer) = self.observer.get().filter(|_| !events.is_empty()) {
            observer.notify(events);
        }
    }

    /// Carries out a run of operations of one kind.
    fn run<S: Shard>(
        &self,
        shard: &Arc<Guarded<S>>,
        run: Vec<(Option<Identity>, Result<S::Request>)>,
        first: usize,
        gather: &Arc<Gather>,
    ) {
        let observer = self.observer.get().cloned();
        let gather = Arc::clone(gather);
        shard.run(&self.committer, &self.clock, run, move |outcomes, events| {
            gather.put(first, outcomes);
            if let Some(observer) = observer.filter(|_| !events.is_empty()) {
                observer.notify(events);
            }
        });
    }

    /// Changes a shard outside of any request, and tells what follows.
    fn change<S: Shard>(
        &self,
        shard: &Arc<Guarded<S>>,
        change: impl FnOnce(&mut S, &mut Changes<S::Unpublished>),
    ) {
        let observer = self.observer.get().cloned();
        shard.change(&self.committer, &self.clock, change, move |events| {
            if let Some(observer) = observer.filter(|_| !events.is_empty()) {
                observer.notify(events);
            }
        });
    }
}

impl Engine for Embedded {
    fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    fn features(&self) -> &[&'static str] {
        const IN_MEMORY: &[&str] = &["dictionary.ordered", "stream.local"];
        const ON_DISK: &[&str] = &["dictionary.ordered", "stream.local", "backup"];
        if self.store.kind() == StoreKind::Memory { IN_MEMORY } else { ON_DISK }
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        let events = self.intents();
        if self.observer.set(observer).is_ok() {
            self.notify(events);
        }
    }

    // This engine tells everything that costs nothing extra to tell, whoever follows.
    fn follow(&self, subject: Subject) {
        if let Subject::Executions(_) = subject {
            self.executions.with(|executions| executions.observe(true));
        }
    }

    fn unfollow(&self, subject: Subject) {
        if let Subject::Executions(_) = subject {
            self.executions.with(|executions| executions.observe(false));
        }
    }

    fn apply(&self, operations: Vec<Operation>, done: Done) {
        if operations.is_empty() {
            return done(Vec::new());
        }
        let full = !self.committer.has_head_room();
        let gather = Gather::new(operations.len(), done);
        let mut operations = operations.into_iter().enumerate().peekable();
        // Neighbours of one kind go together; a frame is mostly of one kind.
        macro_rules! run {
            ($shard:expr, $kind:ident, $first:ident, $identity:ident, $request:ident) => {{
                let mut run = vec![($identity, $request)];
                while let Some((_, operation)) =
                    operations.next_if(|(_, next)| matches!(next.request, Request::$kind(_)))
                {
                    let refusal = refusal(full, &operation.request);
                    if let Request::$kind(request) = operation.request {
                        run.push((operation.identity, refusal.map_or(Ok(request), Err)));
                    }
                }
                self.run($shard, run, $first, &gather);
            }};
        }
        while let Some((first, Operation { identity, request })) = operations.next() {
            let refusal = refusal(full, &request);
            match request {
                Request::Execution(request) => {
                    let request = refusal.map_or(Ok(request), Err);
                    run!(&self.executions, Execution, first, identity, request);
                }
                Request::Stream(request) => {
                    let request = refusal.map_or(Ok(request), Err);
                    run!(&self.streams, Stream, first, identity, request);
                }
                Request::Dictionary(request) => {
                    let request = refusal.map_or(Ok(request), Err);
                    run!(&self.dictionaries, Dictionary, first, identity, request);
                }
                Request::List(request) => {
                    let request = refusal.map_or(Ok(request), Err);
                    run!(&self.lists, List, first, identity, request);
                }
            }
        }
    }

    fn forget_executions(&self, ids: Vec<Arc<str>>) {
        self.change(&self.executions, |executions, changes| {
            for id in &ids {
                // One that is gone is as good.
                drop(executions.forget(id, changes));
            }
        });
    }

    fn answers_unknown(&self) -> bool {
        false
    }

    fn claim(&self, claims: Vec<Claim>, done: ClaimDone) {
        let mut changes = Changes::new(self.clock.now());
        let mut reservations: Vec<_> = self
            .executions
            .with(|executions| claims.iter().map(|claim| executions.claim(claim, &mut changes)).collect());
        self.describe_linked_streams(reservations.iter_mut().flatten());
        // Reservations are not durable, so there is no commit to wait for.
        done(reservations);
        self.notify(changes.events);
    }

    fn recovered_through(&self) -> u64 {
        self.executions.with(|executions| executions.recovered_through())
    }

    fn adopt(&self, session: SessionId, tokens: &[Bytes]) -> Vec<Reservation> {
        let mut reservations: Vec<_> = self
            .executions
            .with(|executions| tokens.iter().filter_map(|token| executions.adopt(session, token)).collect());
        self.describe_linked_streams(reservations.iter_mut());
        reservations
    }

    fn release_reservations(&self, session: SessionId, keep: &[Bytes]) {
        self.change(&self.executions, |executions, changes| {
            executions.release_session(session, keep, changes)
        });
    }

    fn open_session(&self, session: SessionId, hello: v1::HelloRequest, done: Done) {
        let batch = self.sessions.open(session, hello);
        self.committer.enqueue(batch, move |committed| {
            done(vec![committed.map(|()| None).map_err(|error| {
                Reason::StorageFailed.error(format!("the session could not be recorded: {error}"))
            })]);
        });
    }

    fn close_session(&self, session: SessionId) {
        self.change(&self.streams, |streams, changes| streams.end_session(session, changes));
        self.executions.forget_session(&self.committer, session);
        self.streams.forget_session(&self.committer, session);
        self.dictionaries.forget_session(&self.committer, session);
        self.lists.forget_session(&self.committer, session);
        self.committer.enqueue(self.sessions.close(session), |_| {});
    }

    fn find_session(&self, session: SessionId) -> Option<Place> {
        self.sessions.is_on_record(session).then_some(Place::Here)
    }

    fn sessions(&self) -> Vec<(SessionId, v1::HelloRequest)> {
        self.sessions.all()
    }

    fn acknowledge(&self, session: SessionId, through: u64) {
        self.executions.acknowledge(&self.committer, session, through);
        self.streams.acknowledge(&self.committer, session, through);
        self.dictionaries.acknowledge(&self.committer, session, through);
        self.lists.acknowledge(&self.committer, session, through);
    }

    fn reservations_of(&self, session: SessionId) -> u64 {
        self.executions.with(|executions| executions.held_by(session) as u64)
    }

    fn view_execution(&self, id: &str) -> Option<ExecutionView> {
        self.executions.with(|executions| executions.view(id))
    }

    fn scan_executions(&self, query: &ExecutionQuery, after: u64, limit: usize) -> Vec<ExecutionView> {
        self.executions.with(|executions| executions.scan(query, after, limit))
    }

    fn count_executions(&self, query: &ExecutionQuery) -> u64 {
        self.executions.with(|executions| executions.count(query))
    }

    fn read_items(&self, request: ReadItems, done: Box<dyn FnOnce(Result<Items>) + Send>) {
        done(streams::read_items(&self.streams, &*self.store, &request));
    }

    fn view_stream(&self, id: &str) -> Option<v1::Stream> {
        self.streams.with(|streams| streams.view(id))
    }

    fn scan_streams(&self, after: &str, limit: usize) -> Vec<v1::Stream> {
        self.streams.with(|streams| streams.scan(after, limit))
    }

    fn scan_listeners(&self, stream: Option<&str>, after: (&str, &str), limit: usize) -> Vec<v1::Listener> {
        self.streams.with(|streams| streams.scan_listeners(stream, after, limit))
    }

    fn scan_states(&self, after: (v1::StateKind, &str), limit: usize) -> Vec<v1::State> {
        let (kind, id) = after;
        let mut states = match kind {
            v1::StateKind::List => Vec::new(),
            _ => self.dictionaries.with(|dictionaries| dictionaries.scan(id, limit)),
        };
        if states.len() < limit {
            let after = if kind == v1::StateKind::List { id } else { "" };
            states.extend(self.lists.with(|lists| lists.scan(after, limit - states.len())));
        }
        states
    }

    fn owned_by(&self, instance: &str) -> Vec<Owned> {
        let executions = self.executions.with(|executions| executions.owned_by(instance));
        let mut owned: Vec<_> = executions.into_iter().map(Owned::Execution).collect();
        owned.extend(self.streams.with(|streams| streams.owned_by(instance)));
        owned.extend(
            self.dictionaries
                .with(|dictionaries| dictionaries.owned_by(instance))
                .into_iter()
                .map(Owned::Dictionary),
        );
        owned.extend(self.lists.with(|lists| lists.owned_by(instance)).into_iter().map(Owned::List));
        owned
    }

    fn backup(&self) -> Result<Backup> {
        let (cluster_id, boot_epoch) = self.identity;
        let backup = self.store.backup(cluster_id, boot_epoch, self.backup_spare).map_err(backup_error)?;
        Ok(Box::new(backup.map(|bytes| bytes.map_err(backup_error))))
    }

    fn close(&self) -> Result<()> {
        self.sweeper.close();
        self.committer.close().map_err(|error| Reason::StorageFailed.error(error.to_string()))
    }
}

impl Embedded {
    /// Tells reserved generators where to write. Read after the claim, so that no writer it fences is missed.
    fn describe_linked_streams<'a>(&self, reservations: impl Iterator<Item = &'a mut Reservation>) {
        for reservation in reservations {
            if let Some(stream) = &reservation.execution.linked_stream {
                reservation.linked_stream =
                    self.streams.with(|streams| streams.fence(stream, &reservation.token));
            }
        }
    }
}

/// Why there is no backup.
fn backup_error(error: perper_store::Error) -> v1::Error {
    let reason = match error.kind() {
        ErrorKind::Busy => Reason::LimitExceeded,
        ErrorKind::Incompatible => Reason::FeatureNotSupported,
        ErrorKind::DiskFull => Reason::StorageFull,
        ErrorKind::Closed => Reason::Draining,
        _ => Reason::StorageFailed,
    };
    reason.error(error.to_string())
}

/// Why a request is not taken while the disk is nearly full.
fn refusal(full: bool, request: &Request) -> Option<v1::Error> {
    (full && !request.fits_full_disk()).then(|| {
        Reason::StorageFull.error(
            "the disk under the Fabric's data folder is nearly full, so nothing new is stored; reads, completions, \
             acknowledgements and removals still work: free some space",
        )
    })
}

/// Gathers the outcomes of one `apply`, whose runs become durable one after the other.
struct Gather {
    state: Mutex<(Vec<Option<Outcome>>, usize, Option<Done>)>,
}

impl Gather {
    fn new(count: usize, done: Done) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(((0..count).map(|_| None).collect(), count, Some(done))) })
    }

    fn put(&self, first: usize, outcomes: Vec<Outcome>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (gathered, missing, done) = &mut *state;
        *missing -= outcomes.len();
        for (place, outcome) in gathered[first..].iter_mut().zip(outcomes) {
            *place = Some(outcome);
        }
        if *missing == 0
            && let Some(done) = done.take()
        {
            let outcomes = std::mem::take(gathered).into_iter().flatten().collect();
            drop(state);
            done(outcomes);
        }
    }
}
