//! The data, the servers in front of it, and what happens between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::audience::Audience;
use super::chance::Chance;
use super::inbox::{Answer, Inbox, Request, Step};
use super::lanes::Lanes;
use super::server::Server;
use crate::engine::contract::{LeftOpen, embedded};
use crate::engine::{
    Done, Embedded, Engine, Event, Observer, Operation, Outcome, SessionId, Subject, is_unknown, unknown,
};
use perper_store::MemoryStore;

/// Of mutations that took effect, so many percent are answered *unknown*.
const UNKNOWN: usize = 20;

/// So many percent of mutations are lost before they take effect.
const LOST: usize = 10;

/// Servers over one set of data.
pub(crate) struct Cluster {
    /// The objects themselves, changed one at a time.
    pub(super) data: Arc<Embedded>,
    // A plain mutex, never held while the data or a server is called.
    state: Mutex<State>,
    /// Something is to happen.
    woken: Notify,
}

struct State {
    chance: Chance,
    inboxes: Vec<Inbox>,
    lanes: Lanes,
    /// The server that has each session.
    places: HashMap<SessionId, usize>,
    closed: bool,
}

impl Cluster {
    /// Servers on what the store holds, and whoever drives them must call [`run`](Self::run).
    pub(crate) fn start(store: Arc<MemoryStore>, boot: u64, seed: u64, servers: usize) -> Arc<Self> {
        let data = embedded(Arc::new(LeftOpen(store)), boot);
        let inboxes = (0..servers).map(|_| Inbox::of_a_living_server()).collect();
        let this = Arc::new(Self {
            data,
            state: Mutex::new(State {
                // Every boot is another beginning of the same test.
                chance: Chance::new(seed.wrapping_mul(1_000_003).wrapping_add(boot)),
                inboxes,
                lanes: Lanes::default(),
                places: HashMap::new(),
                closed: false,
            }),
            woken: Notify::new(),
        });
        // Each server is told what must be followed by something when it begins to observe; the hub tells what changes.
        this.data.observe(Arc::new(Hub(Arc::downgrade(&this))));
        this.data.follow(Subject::Executions(None));
        this
    }

    /// The engine of one server.
    pub(crate) fn server(self: &Arc<Self>, number: usize) -> Arc<dyn Engine> {
        Arc::new(Server::new(Arc::clone(self), number))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets happen what is to happen, until the last server is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            while self.step() {
                let pause = self.state().chance.below(3);
                for _ in 0..pause {
                    tokio::task::yield_now().await;
                }
            }
            if self.state().closed {
                return;
            }
            self.woken.notified().await;
        }
    }

    /// One thing happens; false if there is none.
    fn step(self: &Arc<Self>) -> bool {
        let step = {
            let State { chance, inboxes, .. } = &mut *self.state();
            let busy: Vec<usize> = (0..inboxes.len()).filter(|number| inboxes[*number].has_work()).collect();
            let Some(number) = busy.get(chance.below(busy.len())) else { return false };
            inboxes[*number].choose(chance)
        };
        match step {
            Some(Step::Request(request)) => request(self),
            Some(Step::Answer(answer)) => answer(),
            Some(Step::Events(observer, events)) => observer.notify(events),
            None => {}
        }
        true
    }

    /// Changes what is known of a server, and lets happen what follows.
    pub(super) fn with<R>(&self, number: usize, change: impl FnOnce(&mut Inbox) -> R) -> R {
        let result = change(&mut self.state().inboxes[number]);
        self.woken.notify_one();
        result
    }

    /// A server hands a request over.
    pub(super) fn send(&self, number: usize, request: Request) {
        self.with(number, |inbox| {
            if inbox.alive {
                inbox.requests.push_back(request);
            }
        });
    }

    pub(super) fn send_claim(&self, number: usize, claim: Request) {
        self.with(number, |inbox| {
            if inbox.alive {
                inbox.claims.push(claim);
            }
        });
    }

    pub(super) fn answer(&self, number: usize, answer: Answer) {
        self.with(number, |inbox| inbox.answer(answer));
    }

    /// Lets everything that a server has handed over take effect, so that what it does next comes after; false if it is
    /// gone and does nothing any more.
    pub(super) fn flush(self: &Arc<Self>, number: usize) -> bool {
        while let Some(request) = self.with(number, |inbox| inbox.requests.pop_front()) {
            request(self);
        }
        self.with(number, |inbox| inbox.alive)
    }

    /// A server begins to observe: it is told what must be followed by something.
    pub(super) fn observe(&self, number: usize, observer: Arc<dyn Observer>) {
        self.with(number, |inbox| inbox.observer = Some(observer));
        let events = self.data.intents();
        let State { chance, inboxes, .. } = &mut *self.state();
        events.into_iter().for_each(|event| inboxes[number].tell(event, chance));
        self.woken.notify_one();
    }

    /// Operations get to the data, except those that are lost; their outcomes go back, except those that are lost.
    pub(super) fn carry_out(self: &Arc<Self>, number: usize, operations: Vec<Operation>, done: Done) {
        let count = operations.len();
        // Where each of those that get there stands, and whether its outcome gets back.
        let mut places = Vec::with_capacity(count);
        let mut arriving = Vec::with_capacity(count);
        {
            let State { chance, lanes, .. } = &mut *self.state();
            for (place, operation) in operations.into_iter().enumerate() {
                let mutation = !operation.request.is_read();
                if mutation && (lanes.is_blocked(&operation) || chance.percent(LOST)) {
                    lanes.lose(&operation);
                    continue;
                }
                lanes.pass(&operation);
                places.push((place, mutation && chance.percent(UNKNOWN)));
                arriving.push(operation);
            }
        }
        let this = Arc::clone(self);
        let back = move |outcomes: Vec<Outcome>| {
            let mut answers: Vec<Outcome> = (0..count).map(|_| unknown()).collect();
            for ((place, lost), outcome) in places.into_iter().zip(outcomes) {
                debug_assert!(!is_unknown(&outcome));
                if !lost {
                    answers[place] = outcome;
                }
            }
            this.answer(number, Box::new(move || done(answers)));
        };
        self.data.apply(arriving, Box::new(back));
    }

    /// Whether the answer to a mutation of a session itself is lost.
    pub(super) fn loses(&self) -> bool {
        self.state().chance.percent(UNKNOWN)
    }

    /// A server has a session from now on; another that had it is told.
    pub(super) fn takes_session(&self, number: usize, session: SessionId) {
        let State { chance, inboxes, places, .. } = &mut *self.state();
        if let Some(former) = places.insert(session, number).filter(|former| *former != number) {
            inboxes[former].tell(Event::SessionMoved(session), chance);
        }
    }

    /// Whether a server has a session. One that nobody has goes to whoever asks first.
    pub(super) fn has_session(&self, number: usize, session: SessionId) -> bool {
        *self.state().places.entry(session).or_insert(number) == number
    }

    pub(super) fn close_session(&self, session: SessionId) {
        {
            let mut state = self.state();
            state.lanes.close(session);
            state.places.remove(&session);
        }
        self.data.close_session(session);
    }

    /// A server goes without a word: some of what it has handed over still takes effect, nothing reaches it any more. The
    /// others are told what it may have left undone.
    pub(crate) fn crash(self: &Arc<Self>, number: usize) {
        let waiting = self.with(number, |inbox| inbox.requests.len());
        let still = self.state().chance.below(waiting + 1);
        for _ in 0..still {
            if let Some(request) = self.with(number, |inbox| inbox.requests.pop_front()) {
                request(self);
            }
        }
        self.bury(number);
        self.hand_over_sessions(number);
        self.fan_out(self.data.intents().into_iter().chain(self.data.unswept()).collect());
    }

    /// Gives the sessions of a server that is gone to the others.
    fn hand_over_sessions(&self, number: usize) {
        let sessions = self.data.sessions();
        let State { chance, inboxes, places, .. } = &mut *self.state();
        let alive: Vec<usize> = (0..inboxes.len()).filter(|number| inboxes[*number].alive).collect();
        for (session, hello) in sessions {
            if places.get(&session) == Some(&number)
                && let Some(heir) = alive.get(chance.below(alive.len()))
            {
                places.insert(session, *heir);
                inboxes[*heir].tell(Event::SessionLeft(session, hello), chance);
            }
        }
    }

    /// Nothing reaches a server any more.
    fn bury(&self, number: usize) {
        // What was on its way is dropped once the lock is released: it may hold anything of the server's.
        let _buried = self.with(number, std::mem::take);
    }

    /// What a server follows, and how often.
    pub(crate) fn follows(&self, number: usize) -> Vec<Subject> {
        self.with(number, |inbox| inbox.follows().keys().cloned().collect())
    }

    /// Closes a server in order; the last one closes the data.
    pub(super) fn close(self: &Arc<Self>, number: usize) -> crate::engine::Result<()> {
        self.flush(number);
        self.bury(number);
        let last = {
            let mut state = self.state();
            state.closed = state.inboxes.iter().all(|inbox| !inbox.alive);
            state.closed
        };
        self.woken.notify_one();
        if last { self.data.close() } else { Ok(()) }
    }

    fn fan_out(&self, events: Vec<Event>) {
        let State { chance, inboxes, .. } = &mut *self.state();
        for event in events {
            let audience = Audience::of(&event);
            let mut told = false;
            for inbox in inboxes.iter_mut().filter(|inbox| inbox.alive && inbox.is_for(&audience)) {
                inbox.tell(event.clone(), chance);
                told = true;
            }
            let alive: Vec<usize> = (0..inboxes.len()).filter(|number| inboxes[*number].alive).collect();
            if !told
                && event.must_be_followed()
                && let Some(number) = alive.get(chance.below(alive.len()))
            {
                inboxes[*number].tell(event, chance);
            }
        }
        self.woken.notify_one();
    }
}

/// Hears from the data.
struct Hub(Weak<Cluster>);

impl Observer for Hub {
    fn notify(&self, events: Vec<Event>) {
        if let Some(cluster) = self.0.upgrade() {
            cluster.fan_out(events);
        }
    }
}
