use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::Reason;
use perper_store::Committer;

use super::changes::Changes;
use super::outcomes::Outcomes;
use crate::engine::{Clock, Event, Identity, Outcome, Result, SessionId, is_waiting};

/// The objects of one kind.
pub(super) trait Shard: Send + 'static {
    /// What can be asked of it.
    type Request;
    /// What it notes with a change, to be handed to [`Shard::publish`].
    type Unpublished: Send + 'static;

    /// The number under which outcomes of this shard are stored; never reused.
    const NUMBER: u8;

    /// Carries out one request on one object: changes memory, notes writes and events. Must not fail half way.
    fn apply(
        &mut self,
        request: Self::Request,
        identity: Option<Identity>,
        changes: &mut Changes<Self::Unpublished>,
    ) -> Outcome;

    /// Ends a run of requests: notes the writes that a whole run needs but once.
    fn settle(&mut self, _: &mut Changes<Self::Unpublished>) {}

    /// The writes noted with these are durable: makes visible to scans and claims what they changed, and adds the
    /// events that follow from it.
    fn publish(&mut self, unpublished: Vec<Self::Unpublished>, events: &mut Vec<Event>);
}

/// A shard with the outcomes of its mutations, behind its lock.
pub(super) struct Guarded<S> {
    // A plain mutex: it is held for microseconds, never across a commit, a callback or an await. One per kind of object
    // keeps the order of writes obvious, and the committer behind it is one thread anyway.
    inner: Mutex<(S, Outcomes)>,
}

impl<S: Shard> Guarded<S> {
    pub(super) fn new(shard: S, outcomes: Outcomes) -> Self {
        Self { inner: Mutex::new((shard, outcomes)) }
    }

    fn lock(&self) -> MutexGuard<'_, (S, Outcomes)> {
        // A panic under the lock is a bug of one request; the others must still be served.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the shard.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().0)
    }

    /// Forgets outcomes up to a sequence.
    pub(super) fn acknowledge(self: &Arc<Self>, committer: &Committer, session: SessionId, through: u64) {
        let mut guard = self.lock();
        let mut changes = Changes::<S::Unpublished>::new(Default::default());
        guard.1.acknowledge(session, through, &mut changes.batch);
        if !changes.batch.is_empty() {
            changes.batch.use_reserve();
            // Not urgent, and not driven: it goes with whatever is committed next.
            committer.defer(changes.batch, |_| {});
        }
    }

    /// Forgets all outcomes of a session.
    pub(super) fn forget_session(self: &Arc<Self>, committer: &Committer, session: SessionId) {
        self.acknowledge(committer, session, u64::MAX);
    }

    /// Carries out a run of requests; `done` gets the outcomes and the events when they are durable.
    pub(super) fn run(
        self: &Arc<Self>,
        committer: &Committer,
        clock: &Clock,
        requests: Vec<(Option<Identity>, Result<S::Request>)>,
        done: impl FnOnce(Vec<Outcome>, Vec<Event>) + Send + 'static,
    ) {
        let count = requests.len();
        let mut guard = self.lock();
        let (shard, outcomes) = &mut *guard;
        let mut changes = Changes::new(clock.now());
        changes.unpublished.reserve(count);
        outcomes.expect(count);
        let mut results = Vec::with_capacity(count);
        for (identity, request) in requests {
            let former = identity.map_or(Ok(None), |identity| outcomes.find(identity));
            let result = match (request, former) {
                (_, Err(refused)) => Err(refused),
                // Also when it would be refused by now, because the disk is full: it took effect while there was room.
                (_, Ok(Some(former))) => former,
                (Err(refused), Ok(None)) => Err(refused),
                (Ok(request), Ok(None)) => {
                    let result = shard.apply(request, identity, &mut changes);
                    if let Some(identity) = identity.filter(|_| !is_waiting(&result)) {
                        outcomes.keep(identity, &result);
                    }
                    result
                }
            };
            results.push(result);
        }
        settle(shard, outcomes, &mut changes);
        outcomes.write(&mut changes.batch);
        self.defer(committer, changes, move |committed| match committed {
            Ok(events) => done(results, events),
            Err(error) => done((0..count).map(|_| Err(error.clone())).collect(), Vec::new()),
        });
        drop(guard);
        committer.drive();
    }

    /// Changes the shard outside of any request; `done` gets the events when the change is durable. A change that tells
    /// nobody anything is in no hurry: it goes with whatever is committed next.
    pub(super) fn change(
        self: &Arc<Self>,
        committer: &Committer,
        clock: &Clock,
        change: impl FnOnce(&mut S, &mut Changes<S::Unpublished>),
        done: impl FnOnce(Vec<Event>) + Send + 'static,
    ) {
        let mut guard = self.lock();
        let mut changes = Changes::new(clock.now());
        let (shard, outcomes) = &mut *guard;
        change(shard, &mut changes);
        settle(shard, outcomes, &mut changes);
        outcomes.write(&mut changes.batch);
        let tells = !changes.events.is_empty() || !changes.unpublished.is_empty();
        self.defer(committer, changes, move |committed| done(committed.unwrap_or_default()));
        drop(guard);
        if tells {
            committer.drive();
        }
    }

    /// Queues the writes. Called under the lock, so that the store sees changes of one object in the order in which they
    /// were made; the caller drives the committer once it has let go of the lock.
    fn defer(
        self: &Arc<Self>,
        committer: &Committer,
        changes: Changes<S::Unpublished>,
        done: impl FnOnce(Result<Vec<Event>>) + Send + 'static,
    ) {
        let Changes { mut batch, mut events, unpublished, .. } = changes;
        // What may not be written was refused before it came here.
        batch.use_reserve();
        let this = Arc::clone(self);
        committer.defer(batch, move |committed| match committed {
            Ok(()) => {
                if !unpublished.is_empty() {
                    this.with(|shard| shard.publish(unpublished, &mut events));
                }
                done(Ok(events));
            }
            // This may run under the shard's lock, and must not take it. Nothing is acknowledged any more, so what is in
            // memory and not in the store is never shown.
            Err(error) => done(Err(Reason::StorageFailed.error(format!(
                "the storage failed ({error}): whether this took effect is unknown until the server has restarted"
            )))),
        });
    }
}

/// Ends a run, and keeps the outcomes that it gave to mutations of former runs.
fn settle<S: Shard>(shard: &mut S, outcomes: &mut Outcomes, changes: &mut Changes<S::Unpublished>) {
    shard.settle(changes);
    for (identity, outcome) in std::mem::take(&mut changes.answers) {
        outcomes.keep(identity, &outcome);
        changes.events.push(Event::Answered { identity, outcome: Box::new(outcome) });
    }
}
