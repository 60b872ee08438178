//! The one error of the crate, and the one table that maps what the Fabric says to it.

use std::{collections::BTreeMap, fmt};

use perper_proto::{Reason, v1};

/// What comes of an operation that may fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($( $(#[doc = $doc:literal])+ $kind:ident = $code:literal $name:literal $(from $reason:ident)?; )+) => {
        /// What kind of thing went wrong: the part of an [`Error`] that programs decide by.
        ///
        /// Each kind has a number ([`ErrorKind::code`]) and a name ([`ErrorKind::name`]) that never change, and that
        /// are never used again once retired: bindings carry them across languages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $( $(#[doc = $doc])+ $kind, )+ }

        impl ErrorKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &[ErrorKind] = &[ $( ErrorKind::$kind, )+ ];

            /// The number of the kind.
            pub const fn code(self) -> u16 {
                match self { $( ErrorKind::$kind => $code, )+ }
            }

            /// The name of the kind, as the protocol spells reasons.
            pub const fn name(self) -> &'static str {
                match self { $( ErrorKind::$kind => $name, )+ }
            }

            /// The kind of that number, if there is one.
            pub const fn from_code(code: u16) -> Option<ErrorKind> {
                match code { $( $code => Some(ErrorKind::$kind), )+ _ => None }
            }
        }

        /// The kind that stands for a reason of the protocol; `None` for one that this table does not list yet.
        const fn kind_of(reason: Reason) -> Option<ErrorKind> {
            match reason { $( $( Reason::$reason => Some(ErrorKind::$kind), )? )+ _ => None }
        }
    };
}

kinds! {
    /// Something went wrong that this version has no kind for; the message and the reason say more.
    Unknown = 1 "UNKNOWN";
    /// The request was given up by the client or by something between it and the Fabric.
    Cancelled = 2 "CANCELLED";
    /// A setting is missing or malformed.
    InvalidSettings = 3 "INVALID_SETTINGS";
    /// This client has been closed.
    Closed = 4 "CLOSED";
    /// The Fabric cannot be reached, or cannot serve now.
    Unavailable = 5 "UNAVAILABLE";
    /// The credentials do not allow it.
    PermissionDenied = 6 "PERMISSION_DENIED";

    /// An argument of the operation is malformed.
    InvalidArgument = 10 "INVALID_ARGUMENT" from InvalidArgument;
    /// A value is not what `docs/values.md` defines, or not of the type that was asked for.
    InvalidValue = 11 "INVALID_VALUE" from InvalidValue;
    /// A value of a kind that cannot be a dictionary key.
    InvalidKey = 12 "INVALID_KEY" from InvalidKey;
    /// A limit that the Fabric announced was passed.
    LimitExceeded = 13 "LIMIT_EXCEEDED" from LimitExceeded;
    /// The Fabric or its engine does not offer this.
    FeatureNotSupported = 14 "FEATURE_NOT_SUPPORTED" from FeatureNotSupported;
    /// The Fabric and this library know no common version of the protocol.
    ProtocolNotSupported = 15 "PROTOCOL_NOT_SUPPORTED" from ProtocolNotSupported;
    /// No bearer token, or a wrong one.
    Unauthenticated = 16 "UNAUTHENTICATED" from Unauthenticated;
    /// The Fabric's disk is nearly full.
    StorageFull = 17 "STORAGE_FULL" from StorageFull;
    /// The Fabric's storage failed.
    StorageFailed = 18 "STORAGE_FAILED" from StorageFailed;
    /// The Fabric is stopping.
    Draining = 19 "DRAINING" from Draining;

    /// The session is not known any more.
    SessionExpired = 30 "SESSION_EXPIRED" from SessionExpired;
    /// Another connection has attached the session.
    SessionTakenOver = 31 "SESSION_TAKEN_OVER" from SessionTakenOver;
    /// The operation may or may not have taken effect: the session lapsed before its outcome came.
    OutcomeUnknown = 32 "OUTCOME_UNKNOWN" from OutcomeUnknown;
    /// A request was repeated after its outcome had been acknowledged.
    SequenceAcknowledged = 33 "SEQUENCE_ACKNOWLEDGED" from SequenceAcknowledged;

    /// There is no such object.
    NotFound = 40 "NOT_FOUND" from NotFound;
    /// An object of that id exists with other content.
    AlreadyExists = 41 "ALREADY_EXISTS" from AlreadyExists;
    /// The object went with its owner.
    OwnerGone = 42 "OWNER_GONE" from OwnerGone;

    /// The execution has ended, and its result has been received or forgotten.
    ExecutionCompleted = 50 "EXECUTION_COMPLETED" from ExecutionCompleted;
    /// The execution was cancelled.
    ExecutionCancelled = 51 "EXECUTION_CANCELLED" from ExecutionCancelled;
    /// The execution's deadline passed.
    DeadlineExceeded = 52 "EXECUTION_DEADLINE" from ExecutionDeadline;
    /// The execution's result was not fetched in time.
    ExecutionExpired = 53 "EXECUTION_EXPIRED" from ExecutionExpired;
    /// The handler raised an error; [`Error::failure`] holds it.
    ExecutionFailed = 54 "EXECUTION_FAILED" from ExecutionFailed;
    /// The execution was given to workers too many times without being completed.
    AttemptsExhausted = 55 "ATTEMPTS_EXHAUSTED" from AttemptsExhausted;
    /// The reservation does not hold the execution any more.
    ReservationLost = 56 "RESERVATION_LOST" from ReservationLost;
    /// The attempt that is named as parent has ended.
    ParentEnded = 57 "PARENT_ENDED" from ParentEnded;
    /// The execution may not be completed without a reservation.
    NotManual = 58 "NOT_MANUAL" from NotManual;
    /// The instance is being stopped and takes no calls.
    InstanceStopping = 59 "INSTANCE_STOPPING" from InstanceStopping;

    /// A key that is not larger than the one before it.
    StreamKeyNotIncreasing = 70 "STREAM_KEY_NOT_INCREASING" from StreamKeyNotIncreasing;
    /// A key that does not fall on the stream's stride.
    StreamKeyOffStride = 71 "STREAM_KEY_OFF_STRIDE" from StreamKeyOffStride;
    /// The stream has another item at that key.
    StreamKeyExists = 72 "STREAM_KEY_EXISTS" from StreamKeyExists;
    /// An earlier batch of the writer was rejected.
    WriterClosed = 73 "WRITER_CLOSED" from WriterClosed;
    /// The stream has ended.
    StreamCompleted = 74 "STREAM_COMPLETED" from StreamCompleted;
    /// The stream is started, its options are frozen.
    StreamStarted = 75 "STREAM_STARTED" from StreamStarted;
    /// Too many items without a listener.
    StreamBacklogFull = 76 "STREAM_BACKLOG_FULL" from StreamBacklogFull;
    /// The stream's writer ended without completing it.
    StreamAbandoned = 77 "STREAM_ABANDONED" from StreamAbandoned;
    /// A later attach of the same name has taken the listener over.
    ListenerTakenOver = 78 "LISTENER_TAKEN_OVER" from ListenerTakenOver;
    /// Items that were asked for have been removed.
    ItemsRemoved = 79 "ITEMS_REMOVED" from ItemsRemoved;

    /// An index past the end of the list.
    IndexOutOfRange = 90 "INDEX_OUT_OF_RANGE" from IndexOutOfRange;

    /// A fault of the Fabric or of this library; the message says where.
    Internal = 100 "INTERNAL" from Internal;
}

/// The kind for an error without a reason that this version knows: it came from a newer server, or from something
/// between client and server that speaks gRPC only.
const fn kind_of_code(code: tonic::Code) -> ErrorKind {
    use tonic::Code;
    match code {
        Code::Cancelled => ErrorKind::Cancelled,
        Code::InvalidArgument => ErrorKind::InvalidArgument,
        Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::ResourceExhausted => ErrorKind::LimitExceeded,
        Code::OutOfRange => ErrorKind::IndexOutOfRange,
        Code::Unimplemented => ErrorKind::FeatureNotSupported,
        Code::Internal | Code::DataLoss => ErrorKind::Internal,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::Ok | Code::Unknown | Code::FailedPrecondition | Code::Aborted => ErrorKind::Unknown,
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error raised by a handler, in whatever language it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error's type, as its language names it, for example `ValueError`.
    pub type_name: String,
    /// What it says.
    pub message: String,
    /// Where it was raised, with line breaks; empty where the language has no stack traces.
    pub stack_trace: String,
}

/// Why an operation failed.
///
/// ```
/// use perper::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::InvalidArgument, "the stride is 0; use 1 or more").with("stride", 0);
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.to_string(), "the stride is 0; use 1 or more (INVALID_ARGUMENT)");
/// ```
// Boxed, so that a `Result` of something small stays small: every call of every application returns one.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    /// The name on the wire, where it differs from the kind's: a reason of a newer server.
    unknown_reason: Option<String>,
    message: String,
    metadata: BTreeMap<String, String>,
    failure: Option<Failure>,
}

impl Error {
    /// An error of that kind. `message` says what was wrong, with which value, and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            unknown_reason: None,
            message: message.into(),
            metadata: BTreeMap::new(),
            failure: None,
        }))
    }

    /// The error that a handler raised, as its caller gets it.
    pub fn from_failure(failure: Failure) -> Self {
        let message = match failure.type_name.as_str() {
            "" => failure.message.clone(),
            name => format!("{name}: {}", failure.message),
        };
        let mut error = Error::new(ErrorKind::ExecutionFailed, message);
        error.0.failure = Some(failure);
        error
    }

    /// The same error with one more value that the message speaks of.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// The kind, for programs to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The number of the kind; stable.
    pub fn code(&self) -> u16 {
        self.0.kind.code()
    }

    /// The reason as the protocol names it; more precise than the kind where the Fabric is newer than this library.
    pub fn reason(&self) -> &str {
        self.0.unknown_reason.as_deref().unwrap_or(self.0.kind.name())
    }

    /// What was wrong, with which value, and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The values that the message speaks of, by name.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// The error that the handler raised, if this is [`ErrorKind::ExecutionFailed`].
    pub fn failure(&self) -> Option<&Failure> {
        self.0.failure.as_ref()
    }

    /// The error that the Fabric sent in an answer.
    pub(crate) fn from_proto(error: v1::Error) -> Self {
        let known = error.known_reason().and_then(kind_of);
        let kind = known.unwrap_or_else(|| kind_of_code(tonic::Code::from(error.code)));
        // Of a generator that failed; an error of a call has it beside it.
        let failure = error.failure().map(Failure::from);
        let unknown_reason = (known.is_none() && !error.reason.is_empty()).then_some(error.reason);
        Error(Box::new(Inner {
            kind,
            unknown_reason,
            message: error.message,
            metadata: error.metadata,
            failure,
        }))
    }

    /// The error that ended an execution, with what the handler raised.
    pub(crate) fn from_end(error: v1::Error, failure: Option<v1::Failure>) -> Self {
        let mut error = Error::from_proto(error);
        if let Some(failure) = failure {
            let failure = Failure::from(failure);
            if error.0.message.is_empty() {
                error.0.message.clone_from(&failure.message);
            }
            error.0.failure = Some(failure);
        }
        error
    }

    /// The error that a gRPC status tells, whoever made it.
    pub(crate) fn from_status(status: &tonic::Status) -> Self {
        Error::from_proto(v1::Error::from_status(status))
    }

    /// The error as the protocol carries it, for the end of a stream.
    pub(crate) fn to_proto(&self) -> v1::Error {
        let reason = Reason::from_name(self.reason());
        let error = v1::Error {
            code: reason.map_or(tonic::Code::Unknown, Reason::code) as i32,
            reason: self.reason().to_owned(),
            message: self.0.message.clone(),
            metadata: self.0.metadata.clone(),
        };
        match &self.0.failure {
            Some(failure) => error.with_failure(&failure.clone().into()),
            None => error,
        }
    }
}

impl From<v1::Failure> for Failure {
    fn from(failure: v1::Failure) -> Self {
        Failure { type_name: failure.r#type, message: failure.message, stack_trace: failure.stack_trace }
    }
}

impl From<Failure> for v1::Failure {
    fn from(failure: Failure) -> Self {
        v1::Failure { r#type: failure.type_name, message: failure.message, stack_trace: failure.stack_trace }
    }
}

/// What a value could not be encoded or decoded as, with the path to the place.
impl From<perper_values::Error> for Error {
    fn from(error: perper_values::Error) -> Self {
        Error::new(ErrorKind::InvalidValue, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.type_name.as_str() {
            "" => f.write_str(&self.message),
            name => write!(f, "{name}: {}", self.message),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.message.as_str() {
            "" => f.write_str(self.reason()),
            message => write!(f, "{message} ({})", self.reason()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("reason", &self.reason()).field("message", &self.0.message);
        if !self.0.metadata.is_empty() {
            debug.field("metadata", &self.0.metadata);
        }
        if let Some(failure) = &self.0.failure {
            debug.field("failure", failure);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
