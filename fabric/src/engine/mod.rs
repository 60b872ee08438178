//! The engine: keeps the Fabric's objects and changes them, one at a time.
//!
//! [`Engine`] is stated in the terms of the domain and promises only what an engine on one machine and one over a
//! cluster can both hold:
//!
//! * each [`Operation`] changes one object atomically; what reaches wider is recorded on the root object and carried
//!   out by the [broker](crate::broker) in steps that any server can repeat;
//! * an outcome is handed over, and an event told, only once it is as durable as configured;
//! * the outcome of a mutation with an identity is kept until its session acknowledges it, so that a repeat gets the
//!   same one;
//! * events are level-triggered: they may come late, and twice, and steps between may be missing, but the last state
//!   is always told;
//! * nothing here waits by polling.

mod clock;
#[cfg(test)]
mod contract;
mod embedded;
mod event;
mod execution;
#[cfg(test)]
pub(crate) mod hostile;
mod operation;
mod refusals;

use std::sync::Arc;

pub use clock::Clock;
pub use embedded::{Embedded, EmbeddedOptions, new_life};
pub use event::{Event, Observer, Subject};
pub use execution::{Claim, EndReason, Ended, Execution, ExecutionQuery, ExecutionView, Held, Reservation};
pub use operation::{
    AttachListener, DictionaryRequest, ExecutionRequest, Identity, ListRequest, Operation, Outcome, Request,
    SessionId, StreamRequest, Timestamp, is_unknown, is_waiting, unknown, waiting,
};
use perper_proto::v1;
pub(crate) use refusals::{listener_removed, taken_over};

/// What a stored object, a page of them, or a scan answers.
pub type Result<T> = std::result::Result<T, v1::Error>;

/// Called once, with the outcome of each operation in order, when all of them are durable. It must not block.
pub type Done = Box<dyn FnOnce(Vec<Outcome>) + Send>;

/// Called once for a batch of claims, with an answer for each, in order. It must not block.
pub type ClaimDone = Box<dyn FnOnce(Vec<Option<Reservation>>) + Send>;

/// The bytes of a backup, in order, read from the disk as they are asked for. After an error nothing follows.
pub type Backup = Box<dyn Iterator<Item = Result<bytes::Bytes>> + Send>;

/// A page of items for one listener.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// Batches in order, cut so that they begin at the key asked for.
    pub batches: Vec<v1::ItemBatch>,
    /// The last key in `batches` or skipped by them.
    pub last_key: Option<i64>,
    /// Items in `batches`.
    pub count: u64,
    /// The step between keys of a batch that does not list them.
    pub step: u64,
    /// The stream has ended and nothing follows.
    pub end: Option<v1::StreamEnd>,
}

/// Which items to read.
#[derive(Debug, Clone)]
pub struct ReadItems {
    /// The stream.
    pub stream: Arc<str>,
    /// For whom: the listener's record and the epoch of its attach. If that is over, the answer is why. The event that says so
    /// may come before the attach has been answered, and then finds nobody.
    pub listener: Option<(Arc<str>, u64)>,
    /// The first key wanted.
    pub from_key: i64,
    /// At most so many items, and bytes of values, except that one item always fits.
    pub max_items: u64,
    /// See `max_items`.
    pub max_bytes: u64,
}

/// Keeps the objects of a Fabric: executions, streams with their items and listeners, dictionaries, lists, sessions.
///
/// Methods that take a callback return at once; the callback may run before they do, on any thread. Operations handed
/// over by one thread take effect in that order.
pub trait Engine: Send + Sync + 'static {
    /// Made when the data was: tells clients that they are still talking to the same Fabric.
    fn cluster_id(&self) -> &str;

    /// Optional features, as `HelloResponse.features` lists them.
    fn features(&self) -> &[&'static str];

    /// Sets the one observer of this server. Called once, before anything else.
    fn observe(&self, observer: Arc<dyn Observer>);

    /// Begins to tell events about a subject. What there is already, a scan tells. As often as this is called for a
    /// subject, so often it must be [unfollowed](Engine::unfollow).
    fn follow(&self, subject: Subject);

    /// Ends what [`follow`](Engine::follow) began. Events under way may still come.
    fn unfollow(&self, subject: Subject);

    /// Carries out operations in order, each on one object.
    ///
    /// An outcome may be that the request [waits](is_waiting): then the real one comes later, as [`Event::Answered`]. Or
    /// that it is [unknown](is_unknown): then the operation is to be repeated.
    fn apply(&self, operations: Vec<Operation>, done: Done);

    /// Forgets executions whose ends their callers have received. Nobody waits for this, so it need not be durable before
    /// something else is, and may be lost with the server: what is not forgotten goes in time.
    fn forget_executions(&self, ids: Vec<Arc<str>>);

    /// Whether outcomes may be [unknown](is_unknown), so that operations must be kept until theirs are there.
    fn answers_unknown(&self) -> bool;

    /// Reserves executions for sessions: for each a compare-and-set on (execution, work group). Not durable. It may take
    /// effect before or after what is handed over later, so a session may get one after it has given everything back:
    /// whoever is told of such a one gives it back too.
    fn claim(&self, claims: Vec<Claim>, done: ClaimDone);

    /// The number of the last execution created before this boot: up to it, a session may come back that works on one.
    fn recovered_through(&self) -> u64;

    /// Takes over reservations of a former boot for the session that still works on them; answers those that stand.
    fn adopt(&self, session: SessionId, tokens: &[bytes::Bytes]) -> Vec<Reservation>;

    /// Gives back every reservation of a session but those of `keep`.
    fn release_reservations(&self, session: SessionId, keep: &[bytes::Bytes]);

    /// Records that the session exists and that this server has it, so that a restart renews its lease. Another server that
    /// had it is told [`Event::SessionMoved`].
    fn open_session(&self, session: SessionId, hello: v1::HelloRequest, done: Done);

    /// Forgets the session and the outcomes kept for it. Its unnamed listeners go, its named ones are left without a
    /// session, and what it has waiting is dropped.
    fn close_session(&self, session: SessionId);

    /// Where a session is, if it is on record.
    fn find_session(&self, session: SessionId) -> Option<Place>;

    /// The sessions on record that no other server has.
    fn sessions(&self) -> Vec<(SessionId, v1::HelloRequest)>;

    /// Forgets outcomes of a session up to a sequence.
    fn acknowledge(&self, session: SessionId, through: u64);

    /// How many executions a session has reserved.
    fn reservations_of(&self, session: SessionId) -> u64;

    /// An execution with its state, if it is there.
    fn view_execution(&self, id: &str) -> Option<ExecutionView>;

    /// Executions that match, in order of creation, after `after`.
    fn scan_executions(&self, query: &ExecutionQuery, after: u64, limit: usize) -> Vec<ExecutionView>;

    /// How many executions match.
    fn count_executions(&self, query: &ExecutionQuery) -> u64;

    /// Items of a stream.
    fn read_items(&self, request: ReadItems, done: Box<dyn FnOnce(Result<Items>) + Send>);

    /// A stream's record, if it is there.
    fn view_stream(&self, id: &str) -> Option<v1::Stream>;

    /// Streams in order of id, after `after`.
    fn scan_streams(&self, after: &str, limit: usize) -> Vec<v1::Stream>;

    /// Listeners of a stream, or of all, in order, after (stream, name).
    fn scan_listeners(&self, stream: Option<&str>, after: (&str, &str), limit: usize) -> Vec<v1::Listener>;

    /// Dictionaries and lists, in order of kind and id.
    fn scan_states(&self, after: (v1::StateKind, &str), limit: usize) -> Vec<v1::State>;

    /// What an instance owns, in any order.
    fn owned_by(&self, instance: &str) -> Vec<Owned>;

    /// Begins a copy of everything at one moment between two commits, while everything goes on. Dropped before its end, it
    /// leaves nothing behind. It waits for a commit, so for a disk.
    ///
    /// For engines with the feature `backup`; others refuse.
    fn backup(&self) -> Result<Backup>;

    /// Commits what waits and closes the storage.
    fn close(&self) -> Result<()>;
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This server has it.
    Here,
    /// Another server has it.
    Elsewhere,
}

/// An object that an instance owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// An execution, by id.
    Execution(Arc<str>),
    /// A stream, by id.
    Stream(Arc<str>),
    /// A named listener, by stream and name.
    Listener(Arc<str>, Arc<str>),
    /// A dictionary, by id.
    Dictionary(Arc<str>),
    /// A list, by id.
    List(Arc<str>),
}
