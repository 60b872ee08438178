use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use perper_proto::v1;

use crate::engine::{
    Claim, Engine, Event, ExecutionRequest, Identity, Observer, Operation, Outcome, Request, Reservation,
    SessionId, Subject, is_unknown,
};

/// How long anything may take that certainly comes.
const LONGEST: Duration = Duration::from_secs(30);

/// Repeats of one request that an engine may make necessary.
const REPEATS: usize = 1_000;

/// One set of data, and engines over it.
pub(crate) trait Data {
    /// Starts engines on the data there is, one for each server. Those of the boot before are closed.
    fn boot(&mut self) -> Vec<Arc<dyn Engine>>;
}

/// Servers over one set of data, and the session of a client that uses all of them.
pub(crate) struct Fixture {
    data: Box<dyn Data>,
    servers: Vec<Arc<dyn Engine>>,
    logs: Arc<Logs>,
    next_server: Cell<usize>,
    next_sequence: Cell<u64>,
}

/// What the servers of one boot were told, each.
struct Logs {
    events: Mutex<Vec<Vec<Event>>>,
    more: Condvar,
}

impl Logs {
    fn new(servers: usize) -> Arc<Self> {
        Arc::new(Self { events: Mutex::new(vec![Vec::new(); servers]), more: Condvar::new() })
    }

    fn events(&self) -> MutexGuard<'_, Vec<Vec<Event>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was told is enough.
    fn wait(&self, what: &str, is_enough: impl Fn(&[Vec<Event>]) -> bool) {
        let (events, timeout) = self
            .more
            .wait_timeout_while(self.events(), LONGEST, |events| !is_enough(events))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{what} is not told, only (by server) {events:?}");
    }
}

/// Takes note of what one server is told.
struct Log {
    server: usize,
    logs: Arc<Logs>,
}

impl Observer for Log {
    fn notify(&self, events: Vec<Event>) {
        self.logs.events()[self.server].extend(events);
        self.logs.more.notify_all();
    }
}

/// The session of requests that do not say another.
pub(crate) const SESSION: SessionId = SessionId(7);

impl Fixture {
    pub(crate) fn new(data: impl Data + 'static) -> Self {
        let mut this = Self {
            data: Box::new(data),
            servers: Vec::new(),
            logs: Logs::new(0),
            next_server: Cell::new(0),
            next_sequence: Cell::new(1),
        };
        this.boot();
        this.open_session(SESSION);
        this
    }

    fn boot(&mut self) {
        self.servers = self.data.boot();
        self.logs = Logs::new(self.servers.len());
        for (server, engine) in self.servers.iter().enumerate() {
            engine.observe(Arc::new(Log { server, logs: Arc::clone(&self.logs) }));
        }
    }

    /// Closes all servers, and starts as many on the same data.
    pub(crate) fn reopen(&mut self) {
        for server in self.servers.drain(..) {
            server.close().expect("the engine closes");
        }
        self.boot();
    }

    /// The next server in turn, so that no scenario counts on meeting the same one again.
    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        let at = self.next_server.get();
        self.next_server.set(at + 1);
        &self.servers[at % self.servers.len()]
    }

    /// All servers.
    pub(crate) fn engines(&self) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.servers.iter()
    }

    pub(crate) fn open_session(&self, session: SessionId) {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel();
            let hello = v1::HelloRequest { library: "contract".into(), ..Default::default() };
            let done = move |outcomes| drop(sender.send(outcomes));
            self.engine().open_session(session, hello, Box::new(done));
            let outcomes: Vec<Outcome> = receiver.recv_timeout(LONGEST).expect("an outcome");
            if !is_unknown(&outcomes[0]) {
                return assert_eq!(outcomes, [Ok(None)]);
            }
        }
        panic!("whether {session} is open is still unknown after {REPEATS} repeats");
    }

    /// An identity that was not used before.
    pub(crate) fn identity(&self) -> Identity {
        let sequence = self.next_sequence.get();
        self.next_sequence.set(sequence + 1);
        Identity { session: SESSION, sequence }
    }

    /// Carries out a request under an identity of its own.
    pub(crate) fn send(&self, request: impl Ask) -> Outcome {
        self.send_as(Some(self.identity()), request)
    }

    /// Carries out a request, again and again, through one server after the other, until its outcome is known.
    pub(crate) fn send_as(&self, identity: Option<Identity>, request: impl Ask) -> Outcome {
        let request = request.request();
        for _ in 0..REPEATS {
            let outcome =
                self.apply(vec![Operation { identity, request: request.clone() }]).pop().expect("an outcome");
            if !is_unknown(&outcome) {
                return outcome;
            }
        }
        panic!("the outcome of {request:?} is still unknown after {REPEATS} repeats");
    }

    /// Carries out requests of one session in one frame, and again what of them is unknown.
    pub(crate) fn send_all<A: Ask>(&self, requests: Vec<A>) -> Vec<Outcome> {
        let operations: Vec<Operation> = requests
            .into_iter()
            .map(|request| Operation { identity: Some(self.identity()), request: request.request() })
            .collect();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; operations.len()];
        for _ in 0..REPEATS {
            let missing: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes[*at].is_none()).collect();
            if missing.is_empty() {
                return outcomes.into_iter().flatten().collect();
            }
            let again = missing.iter().map(|at| operations[*at].clone()).collect();
            for (at, outcome) in missing.into_iter().zip(self.apply(again)) {
                outcomes[at] = (!is_unknown(&outcome)).then_some(outcome);
            }
        }
        panic!("{} outcomes are still unknown after {REPEATS} repeats", outcomes.iter().flatten().count());
    }

    /// The reason for which a request is refused.
    pub(crate) fn refusal(&self, request: impl Ask) -> String {
        self.send(request).expect_err("the request is refused").reason
    }

    /// Carries out operations as one frame, through the next server.
    pub(crate) fn apply(&self, operations: Vec<Operation>) -> Vec<Outcome> {
        let (sender, receiver) = mpsc::channel();
        let count = operations.len();
        self.engine().apply(operations, Box::new(move |outcomes| drop(sender.send(outcomes))));
        let outcomes = receiver.recv_timeout(LONGEST).expect("every operation has an outcome");
        assert_eq!(outcomes.len(), count);
        outcomes
    }

    /// Tries to reserve an execution in a work group.
    pub(crate) fn claim(&self, id: &str, group: &str, session: SessionId) -> Option<Reservation> {
        let execution = self.engine().view_execution(id)?.execution;
        let claim = Claim { execution, group: group.into(), session };
        let (sender, receiver) = mpsc::channel();
        self.engine().claim(vec![claim], Box::new(move |answers| drop(sender.send(answers))));
        receiver.recv_timeout(LONGEST).expect("every claim is answered").pop().expect("an answer")
    }

    /// Reserves an execution, which must be to be had, in the default work group.
    pub(crate) fn reserve(&self, id: &str) -> Bytes {
        self.claim(id, "", SESSION).expect("the execution can be claimed").token
    }

    /// What is known of an execution.
    pub(crate) fn get(&self, id: &str) -> Result<v1::Execution, v1::Error> {
        let request = v1::GetExecutionRequest { execution: id.into(), summary: false };
        match self.send_as(None, ExecutionRequest::Get(request))? {
            Some(v1::response::Response::GetExecution(response)) => Ok(response.execution.expect("one")),
            other => panic!("{other:?}"),
        }
    }

    /// Lets every server follow something.
    pub(crate) fn follow(&self, subject: &Subject) {
        self.engines().for_each(|engine| engine.follow(subject.clone()));
    }

    /// Waits until every server has been told something.
    pub(crate) fn told(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        self.logs.wait(what, |servers| servers.iter().all(|events| events.iter().any(&is_it)));
    }

    /// Waits until some server has been told something that must be followed by something.
    pub(crate) fn told_to_one(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        let is_it = |event: &Event| is_it(event) && event.must_be_followed();
        self.logs.wait(what, |servers| servers.iter().flatten().any(is_it));
    }

    /// Waits until some server has been told something.
    pub(crate) fn told_to_any(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        self.logs.wait(what, |servers| servers.iter().flatten().any(&is_it));
    }

    /// Whether any server has been told something so far.
    pub(crate) fn any_told(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.logs.events().iter().flatten().any(is_it)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for server in &self.servers {
            // A scenario that has failed already says why.
            drop(server.close());
        }
    }
}

/// What to do with any kind of object.
pub(crate) trait Ask {
    fn request(self) -> Request;
}

macro_rules! ask {
    ($($kind:ident $request:ident),*) => { $(
        impl Ask for crate::engine::$request {
            fn request(self) -> Request {
                Request::$kind(self)
            }
        }
    )* };
}

impl Ask for Request {
    fn request(self) -> Request {
        self
    }
}

ask!(
    Execution ExecutionRequest,
    Stream StreamRequest,
    Dictionary DictionaryRequest,
    List ListRequest
);
