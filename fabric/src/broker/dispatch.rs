use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper_proto::v1;

use super::connection::Connection;
use super::repeat::Repeating;
use crate::engine::{Claim, Clock, Engine, Execution, ExecutionQuery, Reservation, SessionId, Subject};

/// Hands pending executions to listens.
///
/// Listens with the same filter and work group stand in one [`Line`] and take turns. An execution waits in every line
/// whose filter it matches; whichever line claims it first has it, and the others find so when they come to it, because a
/// claim is a compare-and-set. So nothing has to be taken out of the middle of a line.
pub(super) struct Dispatcher {
    engine: Arc<dyn Engine>,
    operations: Arc<Repeating>,
    clock: Clock,
    // A plain mutex: claims are made after it is released, so it is held to move entries between queues only.
    lines: Mutex<Lines>,
}

/// An agent and one of its instances, or all of them.
type Target = (Arc<str>, Option<Arc<str>>);

#[derive(Default)]
struct Lines {
    by_filter: HashMap<LineKey, Line>,
    /// Filters by agent and instance; no instance takes all.
    by_target: HashMap<Target, Vec<LineKey>>,
    /// Executions of a former boot, kept back while a session may come back that works on one.
    held_back: Option<(u64, Vec<Arc<Execution>>)>,
}

/// What the listens of a line have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LineKey {
    group: Arc<str>,
    agent: Arc<str>,
    instance: Option<Arc<str>>,
    /// Sorted; empty takes all.
    delegates: Arc<[Arc<str>]>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Entry>,
    /// Those that may have credit, taking turns: the front is next.
    ready: VecDeque<Arc<Listen>>,
    /// Those that had too little when it was their turn. Apart, so that thousands of them cost nothing.
    spent: Vec<Arc<Listen>>,
}

/// What stands in a line.
enum Entry {
    Execution(Arc<Execution>),
    /// All that was pending when this listen began is before it.
    Start(Arc<Listen>),
}

/// One `Listen` of a client, or one `ReserveExecution`.
pub(super) struct Listen {
    pub(super) session: SessionId,
    pub(super) subscription: u64,
    group: Arc<str>,
    taker: Taker,
    credit: Mutex<Credit>,
    /// Lines whose pending executions have not all been sent.
    starting: AtomicUsize,
}

/// Who gets the activations.
pub(super) enum Taker {
    Connection(Arc<Connection>),
    /// A unary call that takes one.
    Once(Mutex<Option<tokio::sync::oneshot::Sender<v1::Activation>>>),
}

struct Credit {
    executions: u64,
    bytes: u64,
    /// The most bytes there ever were: an execution larger than that goes out alone rather than never.
    most_bytes: u64,
    closed: bool,
}

impl Listen {
    pub(super) fn new(
        session: SessionId,
        subscription: u64,
        group: &str,
        taker: Taker,
        credit: (u64, u64),
    ) -> Arc<Self> {
        let (executions, bytes) = credit;
        let credit = Mutex::new(Credit { executions, bytes, most_bytes: bytes, closed: false });
        Arc::new(Self {
            session,
            subscription,
            group: Arc::from(group),
            taker,
            credit,
            starting: AtomicUsize::new(0),
        })
    }

    /// One line has sent all that was pending.
    fn started(&self) {
        if self.starting.fetch_sub(1, Ordering::AcqRel) == 1
            && let Taker::Connection(connection) = &self.taker
        {
            connection.notice(self.subscription, v1::notice::Notice::StartReached(true));
        }
    }

    fn credit(&self) -> MutexGuard<'_, Credit> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes credit for one execution, if there is enough.
    fn spend(&self, size: u64) -> bool {
        let mut credit = self.credit();
        if credit.closed || credit.executions == 0 || credit.bytes < size.min(credit.most_bytes) {
            return false;
        }
        credit.executions -= 1;
        credit.bytes = credit.bytes.saturating_sub(size);
        true
    }

    fn refund(&self, size: u64) {
        self.grant(1, size, u64::MAX, u64::MAX);
    }

    fn grant(&self, executions: u64, bytes: u64, most_executions: u64, most_bytes: u64) {
        let mut credit = self.credit();
        credit.executions = credit.executions.saturating_add(executions).min(most_executions);
        credit.bytes = credit.bytes.saturating_add(bytes).min(most_bytes);
        credit.most_bytes = credit.most_bytes.max(credit.bytes);
    }
}

/// An execution that found a listen with credit.
struct Match {
    execution: Arc<Execution>,
    listen: Arc<Listen>,
    line: LineKey,
}

impl Dispatcher {
    pub(super) fn new(engine: Arc<dyn Engine>, operations: Arc<Repeating>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { engine, operations, clock, lines: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps executions up to a number back until [`release_recovered`](Self::release_recovered).
    pub(super) fn hold_recovered(&self, through: u64) {
        self.lock().held_back = Some((through, Vec::new()));
    }

    /// No session will come back any more that works on an execution of a former boot.
    pub(super) fn release_recovered(self: &Arc<Self>) {
        let held_back = self.lock().held_back.take();
        self.offer(held_back.into_iter().flat_map(|(_, executions)| executions));
    }

    /// Executions that can be claimed.
    pub(super) fn offer(self: &Arc<Self>, executions: impl IntoIterator<Item = Arc<Execution>>) {
        let mut matches = Vec::new();
        let mut lines = self.lock();
        for execution in executions {
            match &mut lines.held_back {
                Some((through, held_back)) if execution.number <= *through => held_back.push(execution),
                _ => lines.enter(execution, &mut matches),
            }
        }
        drop(lines);
        self.claim(matches);
    }

    /// Adds a listen. When this returns, all that was pending has been queued for it; it gets what its credit allows.
    pub(super) fn listen(self: &Arc<Self>, listen: &Arc<Listen>, filters: &[v1::ExecutionFilter]) {
        listen.starting.store(filters.len(), Ordering::Release);
        for filter in filters {
            let line = LineKey::new(&listen.group, filter);
            let new = self.lock().join(&line, listen);
            if new {
                self.engine.follow(Subject::Pending(Arc::clone(&line.agent)));
                self.fill(&line);
            }
            if let Some(line) = self.lock().by_filter.get_mut(&line) {
                line.waiting.push_back(Entry::Start(Arc::clone(listen)));
            }
            self.pump(&line, listen);
        }
    }

    /// Queues what is pending already for a new line.
    fn fill(&self, line: &LineKey) {
        const PAGE: usize = 4096;
        let query = ExecutionQuery {
            agent: Some(Arc::clone(&line.agent)),
            instance: line.instance.clone(),
            delegates: line.delegates.to_vec(),
            claimable: true,
            ..ExecutionQuery::default()
        };
        let mut after = 0;
        loop {
            let page = self.engine.scan_executions(&query, after, PAGE);
            let Some(last) = page.last() else { return };
            after = last.execution.number;
            let complete = page.len() < PAGE;
            let mut lines = self.lock();
            for view in page {
                match &mut lines.held_back {
                    Some((through, held_back)) if view.execution.number <= *through => {
                        held_back.push(view.execution)
                    }
                    _ => {
                        if let Some(line) = lines.by_filter.get_mut(line) {
                            line.waiting.push_back(Entry::Execution(view.execution));
                        }
                    }
                }
            }
            if complete {
                return;
            }
        }
    }

    /// More credit for a listen.
    pub(super) fn grant(
        self: &Arc<Self>,
        listen: &Arc<Listen>,
        filters: &[v1::ExecutionFilter],
        credit: (u64, u64),
        most: (u64, u64),
    ) {
        listen.grant(credit.0, credit.1, most.0, most.1);
        for filter in filters {
            self.pump(&LineKey::new(&listen.group, filter), listen);
        }
    }

    /// Ends a listen. Its reservations stay.
    pub(super) fn unlisten(&self, listen: &Arc<Listen>, filters: &[v1::ExecutionFilter]) {
        listen.credit().closed = true;
        for filter in filters {
            let line = LineKey::new(&listen.group, filter);
            if self.lock().leave(&line, listen) {
                self.engine.unfollow(Subject::Pending(line.agent));
            }
        }
    }

    /// Listens by agent, for inspection and metrics.
    pub(super) fn listens(&self) -> HashMap<Arc<str>, u64> {
        let mut counts = HashMap::new();
        for (key, line) in &self.lock().by_filter {
            *counts.entry(Arc::clone(&key.agent)).or_default() +=
                (line.ready.len() + line.spent.len()) as u64;
        }
        counts
    }

    /// Matches what waits in a line with credit, of which this listen has got some.
    fn pump(self: &Arc<Self>, key: &LineKey, listen: &Arc<Listen>) {
        let mut matches = Vec::new();
        if let Some(line) = self.lock().by_filter.get_mut(key) {
            line.revive(listen);
            line.pump(key, &mut matches);
        }
        self.claim(matches);
    }

    fn claim(self: &Arc<Self>, matches: Vec<Match>) {
        if matches.is_empty() {
            return;
        }
        let claims = matches
            .iter()
            .map(|found| Claim {
                execution: Arc::clone(&found.execution),
                group: Arc::clone(&found.line.group),
                session: found.listen.session,
            })
            .collect();
        let this = Arc::clone(self);
        self.engine.claim(
            claims,
            Box::new(move |reservations| {
                let mut refunded = Vec::new();
                for (found, reservation) in matches.into_iter().zip(reservations) {
                    match reservation {
                        Some(reservation) => this.deliver(&found.listen, reservation),
                        None => {
                            // Another line had it, or it has ended.
                            found.listen.refund(found.execution.size());
                            refunded.push((found.line, found.listen));
                        }
                    }
                }
                for (line, listen) in refunded {
                    this.pump(&line, &listen);
                }
            }),
        );
    }

    fn deliver(&self, listen: &Listen, reservation: Reservation) {
        let size = reservation.execution.size() as usize;
        let activation = self.activation(listen.subscription, reservation);
        let gone = match &listen.taker {
            Taker::Connection(connection) => {
                let mut activation = Some(activation);
                let taken =
                    connection.outbox.offer(size, |frame| frame.activations.extend(activation.take()));
                activation.filter(|_| !taken)
            }
            Taker::Once(sender) => {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                match sender {
                    Some(sender) => sender.send(activation).err(),
                    None => Some(activation),
                }
            }
        };
        if let Some(activation) = gone {
            // The call or the connection that wanted it is over; nobody has seen it. With its session gone, nothing else
            // would give it back.
            super::release(&self.operations, activation.execution, activation.reservation);
        }
    }

    fn activation(&self, listen: u64, reservation: Reservation) -> v1::Activation {
        let execution = &reservation.execution;
        let now = self.clock.now();
        v1::Activation {
            listen,
            execution: execution.id.to_string(),
            agent: execution.agent.to_string(),
            instance: execution.instance.to_string(),
            incarnation: execution.incarnation,
            delegate: execution.delegate.to_string(),
            arguments: execution.arguments.to_vec(),
            headers: execution
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            remaining_ms: execution.deadline.map_or(0, |deadline| deadline.remaining(now)),
            reservation: reservation.token,
            attempt: reservation.attempt,
            linked_stream: reservation.linked_stream,
        }
    }
}

impl LineKey {
    fn new(group: &Arc<str>, filter: &v1::ExecutionFilter) -> Self {
        let mut delegates: Vec<Arc<str>> =
            filter.delegates.iter().map(|name| Arc::from(name.as_str())).collect();
        delegates.sort_unstable();
        delegates.dedup();
        Self {
            group: Arc::clone(group),
            agent: Arc::from(filter.agent.as_str()),
            instance: (!filter.instance.is_empty()).then(|| Arc::from(filter.instance.as_str())),
            delegates: delegates.into(),
        }
    }

    fn takes(&self, execution: &Execution) -> bool {
        self.delegates.is_empty() || self.delegates.binary_search(&execution.delegate).is_ok()
    }
}

impl Lines {
    /// Puts an execution into every line that takes it.
    fn enter(&mut self, execution: Arc<Execution>, matches: &mut Vec<Match>) {
        let everywhere = (Arc::clone(&execution.agent), None);
        let here = (Arc::clone(&execution.agent), Some(Arc::clone(&execution.instance)));
        for target in [here, everywhere] {
            for key in self.by_target.get(&target).into_iter().flatten().filter(|key| key.takes(&execution)) {
                if let Some(line) = self.by_filter.get_mut(key) {
                    line.waiting.push_back(Entry::Execution(Arc::clone(&execution)));
                    line.pump(key, matches);
                }
            }
        }
    }

    /// Adds a listen to a line; true if the line is new.
    fn join(&mut self, key: &LineKey, listen: &Arc<Listen>) -> bool {
        if let Some(line) = self.by_filter.get_mut(key) {
            line.ready.push_back(Arc::clone(listen));
            return false;
        }
        let line = Line { ready: VecDeque::from([Arc::clone(listen)]), ..Line::default() };
        self.by_filter.insert(key.clone(), line);
        let target = (Arc::clone(&key.agent), key.instance.clone());
        self.by_target.entry(target).or_default().push(key.clone());
        true
    }

    /// Takes a listen out of a line; true if the line is gone.
    fn leave(&mut self, key: &LineKey, listen: &Arc<Listen>) -> bool {
        let Some(line) = self.by_filter.get_mut(key) else { return false };
        line.ready.retain(|other| !Arc::ptr_eq(other, listen));
        line.spent.retain(|other| !Arc::ptr_eq(other, listen));
        if !line.ready.is_empty() || !line.spent.is_empty() {
            return false;
        }
        self.by_filter.remove(key);
        let target = (Arc::clone(&key.agent), key.instance.clone());
        if let Some(keys) = self.by_target.get_mut(&target) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_target.remove(&target);
            }
        }
        true
    }
}

impl Line {
    fn pump(&mut self, key: &LineKey, matches: &mut Vec<Match>) {
        while let Some(entry) = self.waiting.pop_front() {
            let execution = match entry {
                Entry::Start(listen) => {
                    listen.started();
                    continue;
                }
                Entry::Execution(execution) => execution,
            };
            match self.take_turn(execution.size()) {
                Some(listen) => matches.push(Match { execution, listen, line: key.clone() }),
                None => return self.waiting.push_front(Entry::Execution(execution)),
            }
        }
    }

    /// The next listen with credit for an execution of this size.
    fn take_turn(&mut self, size: u64) -> Option<Arc<Listen>> {
        while let Some(listen) = self.ready.pop_front() {
            if listen.spend(size) {
                self.ready.push_back(Arc::clone(&listen));
                return Some(listen);
            }
            self.spent.push(listen);
        }
        None
    }

    /// A listen has got credit.
    fn revive(&mut self, listen: &Arc<Listen>) {
        if let Some(at) = self.spent.iter().position(|other| Arc::ptr_eq(other, listen)) {
            self.ready.push_back(self.spent.swap_remove(at));
        }
    }
}
