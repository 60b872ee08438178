//! Executions: the shard, and what makes it visible.

mod lifecycle;
mod record;
mod recovery;
mod reservations;
mod scan;
mod table;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use perper_proto::v1;

use self::table::Table;
use super::changes::Changes;
use super::shard::Shard;
use super::tally::Tally;
use super::token::Seal;
use crate::engine::{
    EndReason, Ended, Event, Execution, ExecutionRequest, Identity, Outcome, SessionId, Timestamp,
};
use crate::metrics::ExecutionEnd;

/// Bounds that the server's configuration sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExecutionLimits {
    /// Reservations of one execution in one work group before it fails.
    pub(super) attempts: u32,
    /// How long the reason of an end is remembered after the execution is gone, in milliseconds.
    pub(super) tombstone_ms: u64,
}

/// All executions.
pub(super) struct Executions {
    limits: ExecutionLimits,
    seal: Seal,
    epoch: u32,
    /// The last number that former boots may have given away.
    recovered_through: u64,
    next_serial: u64,
    /// Up to here, numbers are on record as given away.
    recorded_through: u64,
    table: Table,
    /// Those that may be claimed in some work group, by agent, in order of creation. Only committed ones.
    pending: HashMap<Arc<str>, BTreeSet<u64>>,
    /// Attached calls that have not ended, by parent.
    children: HashMap<u64, HashSet<u64>>,
    /// What an instance owns.
    owned: HashMap<Arc<str>, BTreeSet<u64>>,
    /// Calls that a session waits for.
    callers: HashMap<SessionId, HashSet<u64>>,
    /// What a session has reserved.
    held: HashMap<SessionId, HashSet<u64>>,
    /// Why executions that are gone have ended, for a while, oldest first.
    tombstones: HashMap<Arc<str>, EndReason>,
    tombstone_times: VecDeque<(Timestamp, Arc<str>)>,
    /// Names of agents, instances and delegates, shared by executions.
    names: HashSet<Arc<str>>,
    /// Somebody follows executions in every state, so that claims and removals are told too.
    observed: usize,
    tally: Tally,
}

/// What becomes visible when a change is durable.
pub(super) enum Unpublished {
    Created(u64),
    Started(u64),
    Ended(Arc<Ended>),
    Removed(Arc<Execution>),
}

impl Shard for Executions {
    type Request = ExecutionRequest;
    type Unpublished = Unpublished;

    const NUMBER: u8 = 1;

    fn apply(
        &mut self,
        request: ExecutionRequest,
        _identity: Option<Identity>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        self.bury(changes.now);
        match request {
            ExecutionRequest::Create(request, caller) => self.create(request, caller, changes),
            ExecutionRequest::Start(id) => self.start(&id, changes),
            ExecutionRequest::Complete(request) => self.complete(request, changes),
            ExecutionRequest::Release(request) => self.release(&request, changes),
            ExecutionRequest::End(id, reason) => self.end_without_result(&id, reason, changes),
            ExecutionRequest::Forget(id) => self.forget(&id, changes),
            ExecutionRequest::Expire(id) => self.expire(&id, changes),
            ExecutionRequest::Get(request) => self.get(&request, changes.now),
            ExecutionRequest::BeginStop { instance, force } => self.begin_stop(&instance, force, changes),
        }
    }

    fn publish(&mut self, unpublished: Vec<Unpublished>, events: &mut Vec<Event>) {
        for change in unpublished {
            match change {
                Unpublished::Created(number) => {
                    let Some(slot) = self.table.get_mut(number) else { continue };
                    slot.committed = true;
                    self.tally.created += 1;
                    let execution = Arc::clone(&slot.execution);
                    let pending = slot.is_pending();
                    if self.observed > 0 || execution.deadline.is_some() {
                        events.push(Event::Created(Arc::clone(&execution)));
                    }
                    if pending {
                        self.pending.entry(Arc::clone(&execution.agent)).or_default().insert(number);
                        events.push(Event::Pending(execution));
                    }
                }
                Unpublished::Started(number) => {
                    let Some(slot) =
                        self.table.get(number).filter(|slot| slot.committed && slot.is_pending())
                    else {
                        continue;
                    };
                    let execution = Arc::clone(&slot.execution);
                    self.pending.entry(Arc::clone(&execution.agent)).or_default().insert(number);
                    events.push(Event::Pending(execution));
                }
                Unpublished::Ended(ended) => {
                    self.tally.ended[end_of(&ended) as usize] += 1;
                    if let Some(slot) = self.table.get_mut(ended.execution.number) {
                        slot.end_committed = true;
                    }
                    events.push(Event::Ended(ended));
                }
                Unpublished::Removed(execution) => events.push(Event::Removed(execution)),
            }
        }
    }
}

impl Executions {
    /// An empty shard. `epoch` counts boots, `seal` is the same at every boot.
    pub(super) fn new(limits: ExecutionLimits, seal: Seal, epoch: u32) -> Self {
        Self {
            limits,
            seal,
            epoch,
            recovered_through: 0,
            next_serial: 1,
            recorded_through: 0,
            table: Table::default(),
            pending: HashMap::new(),
            children: HashMap::new(),
            owned: HashMap::new(),
            callers: HashMap::new(),
            held: HashMap::new(),
            tombstones: HashMap::new(),
            tombstone_times: VecDeque::new(),
            names: HashSet::new(),
            observed: 0,
            tally: Tally::default(),
        }
    }

    /// What was counted since the boot, and what there is now.
    pub(super) fn tally(&self) -> Tally {
        let unended: usize = self.pending.values().map(BTreeSet::len).sum();
        let reserved = self.held.values().map(HashSet::len).sum::<usize>() as u64;
        Tally { pending: (unended as u64).saturating_sub(reserved), reserved, ..self.tally }
    }

    pub(super) fn recovered_through(&self) -> u64 {
        self.recovered_through
    }

    /// Begins or ends telling of executions in every state.
    pub(super) fn observe(&mut self, begin: bool) {
        self.observed = if begin { self.observed + 1 } else { self.observed.saturating_sub(1) };
    }

    /// Why an execution that is not there cannot be had.
    fn missing(&self, id: &str) -> v1::Error {
        match self.tombstones.get(id) {
            Some(reason) => reason.error(id),
            None => perper_proto::Reason::NotFound
                .error(format!(
                    "there is no execution {id:?}: it never existed, or ended and was forgotten long ago"
                ))
                .with("execution", id),
        }
    }

    /// Remembers for a while why an execution ended.
    fn entomb(&mut self, id: &Arc<str>, reason: EndReason, now: Timestamp) {
        if self.tombstones.insert(Arc::clone(id), reason).is_none() {
            self.tombstone_times.push_back((now.plus(self.limits.tombstone_ms), Arc::clone(id)));
        }
    }

    /// Drops tombstones whose time has come.
    fn bury(&mut self, now: Timestamp) {
        while self.tombstone_times.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, id)) = self.tombstone_times.pop_front() {
                self.tombstones.remove(&id);
            }
        }
    }
}

/// How the metrics call an end.
fn end_of(ended: &Ended) -> ExecutionEnd {
    match ended.reason {
        EndReason::Completed if ended.end.error.is_some() || ended.end.failure.is_some() => {
            ExecutionEnd::Failed
        }
        EndReason::Completed => ExecutionEnd::Completed,
        EndReason::Deadline => ExecutionEnd::Deadline,
        EndReason::AttemptsExhausted => ExecutionEnd::AttemptsExhausted,
        EndReason::Cancelled | EndReason::Expired | EndReason::OwnerGone | EndReason::ReservationLost => {
            ExecutionEnd::Cancelled
        }
    }
}

fn remove_from<K: std::hash::Hash + Eq + Clone>(index: &mut HashMap<K, HashSet<u64>>, key: &K, number: u64) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

fn remove_from_ordered(index: &mut HashMap<Arc<str>, BTreeSet<u64>>, key: &Arc<str>, number: u64) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}
