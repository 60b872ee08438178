use std::fmt;

use perper_proto::{Reason, v1};

/// A client process, by the 128-bit id that it chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

impl SessionId {
    /// The id of these bytes, if there are 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
    }

    /// The bytes on the wire.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// Names one mutation of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Whose mutation.
    pub session: SessionId,
    /// Which of its mutations.
    pub sequence: u64,
}

/// Milliseconds since the Unix epoch by the server's own clock, which never jumps while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// So many milliseconds later.
    #[must_use]
    pub fn plus(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `now` until this time, at least 1 so that it is not mistaken for "no deadline".
    pub fn remaining(self, now: Timestamp) -> u64 {
        self.0.saturating_sub(now.0).max(1)
    }
}

/// A request on one object.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Absent for reads, and for mutations of tools that do not repeat them.
    pub identity: Option<Identity>,
    /// What to do.
    pub request: Request,
}

/// What to do, by the kind of object. Everything has been checked against the limits, and values are well-formed.
#[derive(Debug, Clone)]
pub enum Request {
    /// On an execution.
    Execution(ExecutionRequest),
    /// On a stream or a listener of it.
    Stream(StreamRequest),
    /// On a dictionary.
    Dictionary(DictionaryRequest),
    /// On a list.
    List(ListRequest),
}

/// What to do with an execution.
#[derive(Debug, Clone)]
pub enum ExecutionRequest {
    /// Create, or attach to an equal one; with the session that waits for the end, and with whose end it is cancelled.
    Create(v1::CreateExecutionRequest, Option<SessionId>),
    /// `WAITING` to pending: the linked stream has a listener.
    Start(String),
    /// Complete, with results or a failure.
    Complete(v1::CompleteExecutionRequest),
    /// Give a reservation back.
    Release(v1::ReleaseExecutionRequest),
    /// End without a result. Ended ones stay as they are.
    End(String, super::EndReason),
    /// Forget an ended one; cancel and forget one that is not.
    Forget(String),
    /// Forget an ended one that nobody can ask for any more, leaving the reason.
    Expire(String),
    /// Read.
    Get(v1::GetExecutionRequest),
    /// Mark an instance (its Registry execution) as being stopped: no new calls. With `force`, its Stop is not called.
    BeginStop {
        /// Which.
        instance: String,
        /// Once it was forced it stays so.
        force: bool,
    },
}

/// What to do with a stream or a listener of it.
#[derive(Debug, Clone)]
pub enum StreamRequest {
    /// Create, or attach to an equal one.
    Create(v1::CreateStreamRequest),
    /// Freeze the options of a declared one.
    Start(v1::StartStreamRequest),
    /// Append a batch.
    Write(v1::WriteItemsRequest),
    /// Mark the end. Linked streams ask for the reservation.
    Complete(v1::CompleteStreamRequest),
    /// The generator's execution has ended: mark the end if it is not, with this error if it failed.
    Abandon(String, Option<v1::Error>),
    /// Let a session listen.
    AttachListener(AttachListener),
    /// A listener has processed everything through a key.
    AcknowledgeItems {
        /// The stream.
        stream: String,
        /// The listener, as `AttachListener.listener` named it.
        listener: String,
        /// Of the attach; an older one changes nothing.
        epoch: u64,
        /// The key.
        through: i64,
    },
    /// The session no longer listens: an unnamed listener goes, a named one is left without a session.
    DetachListener {
        /// The stream.
        stream: String,
        /// The listener.
        listener: String,
        /// Of the attach; an older one changes nothing.
        epoch: u64,
    },
    /// Remove a named listener.
    RemoveListener(v1::RemoveListenerRequest),
    /// Read the record.
    Get(v1::GetStreamRequest),
    /// Destroy the stream, its items and listeners.
    Destroy(v1::DestroyStreamRequest),
    /// Destroy the stream, by id, because its owner is gone.
    DestroyOwned(String),
}

/// An attach of a listener, resolved by the service.
#[derive(Debug, Clone)]
pub struct AttachListener {
    /// Whose.
    pub session: SessionId,
    /// The key of the listener's record: the name, or for unnamed ones what session and subscription make unique.
    pub listener: String,
    /// As it was asked for.
    pub request: v1::AttachListenerRequest,
}

/// What to do with a dictionary.
#[derive(Debug, Clone)]
pub enum DictionaryRequest {
    /// Create, or attach to the one there is.
    Create(v1::CreateDictionaryRequest),
    /// Operations that apply whole or not at all.
    Update(v1::UpdateDictionaryRequest),
    /// Read a page.
    Enumerate(v1::EnumerateDictionaryRequest),
    /// Destroy.
    Destroy(v1::DestroyDictionaryRequest),
}

/// What to do with a list.
#[derive(Debug, Clone)]
pub enum ListRequest {
    /// Create, or attach to the one there is.
    Create(v1::CreateListRequest),
    /// One operation.
    Update(v1::UpdateListRequest),
    /// Read a page.
    Enumerate(v1::EnumerateListRequest),
    /// Destroy.
    Destroy(v1::DestroyListRequest),
}

/// How an operation went: an answer in the protocol's own form, or `None` where there is nothing to say but "done".
pub type Outcome = Result<Option<v1::response::Response>, v1::Error>;

/// The outcome of a mutation that has to wait until others have made room for it. It is told once there is one, as
/// [`Event::Answered`](super::Event::Answered), to the session's own stream.
pub fn waiting(identity: Identity) -> Outcome {
    Err(Reason::StreamBacklogFull
        .error(format!("request {} waits until the stream's listeners have caught up", identity.sequence))
        .with(WAITING, identity.sequence))
}

/// Whether an outcome says that the request waits: it is not answered yet, and its effect is still to come.
pub fn is_waiting(outcome: &Outcome) -> bool {
    matches!(outcome, Err(error) if error.metadata.contains_key(WAITING))
}

const WAITING: &str = "waiting";

/// What an engine answers when it lost sight of a mutation on its way: it may or may not have taken effect. It is carried
/// out again: under the same identity, which gives the outcome there was if it did, or as it is if repeating it is
/// [harmless](Operation::may_be_repeated). One that was lost before it took effect takes those with it that the same
/// session has handed over after it on the same object: they are unknown too, until the first of them is repeated. So
/// requests of one session on one object take effect in the order of their sequences, whatever is lost.
pub fn unknown() -> Outcome {
    Err(Reason::OutcomeUnknown
        .error("the engine lost sight of this request: whether it took effect is not known, look before you repeat it")
        .with(UNKNOWN, true))
}

/// Whether an outcome says that nothing is known of it. An engine may give such an outcome at any time, and never keeps it.
pub fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Err(error) if error.metadata.contains_key(UNKNOWN))
}

const UNKNOWN: &str = "unknown";

impl Operation {
    /// Whether carrying it out once more, when it may have taken effect, changes nothing that anyone could see.
    pub fn may_be_repeated(&self) -> bool {
        self.identity.is_some() || self.request.is_idempotent()
    }
}

impl Request {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        use v1::dictionary_operation::Operation as D;
        use v1::update_list_request::Operation as L;

        match self {
            Request::Execution(request) => matches!(request, ExecutionRequest::Get(_)),
            Request::Stream(request) => matches!(request, StreamRequest::Get(_)),
            Request::Dictionary(DictionaryRequest::Update(update)) => {
                update.operations.iter().all(|operation| {
                    matches!(operation.operation, Some(D::Get(_) | D::Contains(_) | D::Count(_)))
                })
            }
            Request::Dictionary(request) => matches!(request, DictionaryRequest::Enumerate(_)),
            Request::List(ListRequest::Update(update)) => {
                matches!(update.operation, Some(L::GetAt(_) | L::IndexOf(_) | L::Contains(_) | L::Count(_)))
            }
            Request::List(request) => matches!(request, ListRequest::Enumerate(_)),
        }
    }

    /// Whether doing it twice is the same as doing it once, without anything that tells the repeat from another request.
    fn is_idempotent(&self) -> bool {
        match self {
            Request::Execution(request) => {
                !matches!(request, ExecutionRequest::Complete(_) | ExecutionRequest::Release(_))
            }
            Request::Stream(request) => {
                !matches!(request, StreamRequest::Write(_) | StreamRequest::Complete(_))
            }
            Request::Dictionary(DictionaryRequest::Update(_)) | Request::List(ListRequest::Update(_)) => {
                self.is_read()
            }
            Request::Dictionary(_) | Request::List(_) => true,
        }
    }

    /// Whether it frees space or ends something, so that it is served even when the disk is nearly full. Reads are too.
    pub fn fits_full_disk(&self) -> bool {
        match self {
            Request::Execution(request) => !matches!(request, ExecutionRequest::Create(..)),
            Request::Stream(request) => !matches!(
                request,
                StreamRequest::Create(_)
                    | StreamRequest::Start(_)
                    | StreamRequest::Write(_)
                    | StreamRequest::AttachListener(_)
            ),
            Request::Dictionary(request) => match request {
                DictionaryRequest::Create(_) => false,
                DictionaryRequest::Update(update) => update.operations.iter().all(dictionary_operation_fits),
                DictionaryRequest::Enumerate(_) | DictionaryRequest::Destroy(_) => true,
            },
            Request::List(request) => match request {
                ListRequest::Create(_) => false,
                ListRequest::Update(update) => {
                    use v1::update_list_request::Operation;
                    !matches!(
                        update.operation,
                        Some(Operation::Add(_) | Operation::InsertAt(_) | Operation::SetAt(_))
                    )
                }
                ListRequest::Enumerate(_) | ListRequest::Destroy(_) => true,
            },
        }
    }
}

fn dictionary_operation_fits(operation: &v1::DictionaryOperation) -> bool {
    use v1::dictionary_operation::Operation;
    !matches!(
        operation.operation,
        Some(
            Operation::Set(_)
                | Operation::SetIfAbsent(_)
                | Operation::ReplaceIfEqual(_)
                | Operation::GetAndReplace(_)
        )
    )
}
