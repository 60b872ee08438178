use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::v1;

/// The domain of every `google.rpc.ErrorInfo` that the Fabric sends.
const DOMAIN: &str = "perper.dev";

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, $code:ident; )+) => {
        /// Why an operation failed: stable names, each with the gRPC status code it travels under.
        ///
        /// A name is never reused for another meaning, and an unknown one (from a newer server) is told apart from all
        /// of these by [`Reason::from_name`] giving `None`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $( $(#[doc = $doc])+ $variant, )+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Reason] = &[ $( Reason::$variant, )+ ];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $( Reason::$variant => $name, )+ }
            }

            /// The gRPC status code that goes with the reason.
            pub const fn code(self) -> Code {
                match self { $( Reason::$variant => Code::$code, )+ }
            }

            /// The reason of that name, if this version knows it.
            pub fn from_name(name: &str) -> Option<Reason> {
                match name { $( $name => Some(Reason::$variant), )+ _ => None }
            }
        }
    };
}

reasons! {
    /// A field of the request is malformed.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument;
    /// A value is not CBOR as `docs/values.md` defines it.
    InvalidValue = "INVALID_VALUE", InvalidArgument;
    /// A value of a kind that cannot be a dictionary key.
    InvalidKey = "INVALID_KEY", InvalidArgument;
    /// A limit announced in `HelloResponse` was passed.
    LimitExceeded = "LIMIT_EXCEEDED", ResourceExhausted;
    /// The feature named is not offered by this server or engine.
    FeatureNotSupported = "FEATURE_NOT_SUPPORTED", Unimplemented;
    /// No protocol version that both sides know.
    ProtocolNotSupported = "PROTOCOL_NOT_SUPPORTED", FailedPrecondition;
    /// No or a wrong bearer token.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated;
    /// The data folder's disk is nearly full; reads, completions, acknowledgements and removals still work.
    StorageFull = "STORAGE_FULL", ResourceExhausted;
    /// The storage failed; the server acknowledges nothing any more and must be restarted.
    StorageFailed = "STORAGE_FAILED", Unavailable;
    /// The server is stopping; connect again.
    Draining = "DRAINING", Unavailable;

    /// The session is not known, or its lease has run out.
    SessionExpired = "SESSION_EXPIRED", FailedPrecondition;
    /// The session is attached by another connection since.
    SessionTakenOver = "SESSION_TAKEN_OVER", Aborted;
    /// The session lapsed before the outcome of this mutation was received: it may or may not have taken effect.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Aborted;
    /// A sequence at or below what the client has acknowledged.
    SequenceAcknowledged = "SEQUENCE_ACKNOWLEDGED", FailedPrecondition;

    /// There is no such object.
    NotFound = "NOT_FOUND", NotFound;
    /// An object of that id exists with other content.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists;
    /// The object went with its owner.
    OwnerGone = "OWNER_GONE", NotFound;

    /// The execution ended with results, and those have been received or forgotten.
    ExecutionCompleted = "EXECUTION_COMPLETED", NotFound;
    /// The execution was cancelled.
    ExecutionCancelled = "EXECUTION_CANCELLED", Cancelled;
    /// The execution's deadline passed.
    ExecutionDeadline = "EXECUTION_DEADLINE", DeadlineExceeded;
    /// The execution's result was not fetched in time and is gone.
    ExecutionExpired = "EXECUTION_EXPIRED", NotFound;
    /// The handler raised an error.
    ExecutionFailed = "EXECUTION_FAILED", Unknown;
    /// The execution was given to workers too many times without being completed.
    AttemptsExhausted = "ATTEMPTS_EXHAUSTED", Aborted;
    /// The reservation is not, or no longer, the one that holds the execution.
    ReservationLost = "RESERVATION_LOST", Aborted;
    /// The attempt that is named as parent has ended.
    ParentEnded = "PARENT_ENDED", Aborted;
    /// The execution may not be completed without a reservation, or not at all.
    NotManual = "NOT_MANUAL", FailedPrecondition;
    /// The instance is being stopped and takes no calls.
    InstanceStopping = "INSTANCE_STOPPING", FailedPrecondition;

    /// A key that is not larger than the one before it.
    StreamKeyNotIncreasing = "STREAM_KEY_NOT_INCREASING", InvalidArgument;
    /// A key that is not first key + n * stride.
    StreamKeyOffStride = "STREAM_KEY_OFF_STRIDE", InvalidArgument;
    /// The stream has another item at that key.
    StreamKeyExists = "STREAM_KEY_EXISTS", AlreadyExists;
    /// An earlier batch of this writer was rejected.
    WriterClosed = "WRITER_CLOSED", FailedPrecondition;
    /// The stream has ended.
    StreamCompleted = "STREAM_COMPLETED", FailedPrecondition;
    /// The stream is started, its options are frozen.
    StreamStarted = "STREAM_STARTED", FailedPrecondition;
    /// Too many items without a listener.
    StreamBacklogFull = "STREAM_BACKLOG_FULL", ResourceExhausted;
    /// The stream's writer ended without completing it.
    StreamAbandoned = "STREAM_ABANDONED", Aborted;
    /// A later attach of the same name has taken over.
    ListenerTakenOver = "LISTENER_TAKEN_OVER", Aborted;
    /// Items that were asked for have been removed.
    ItemsRemoved = "ITEMS_REMOVED", OutOfRange;

    /// An index past the end of the list.
    IndexOutOfRange = "INDEX_OUT_OF_RANGE", OutOfRange;

    /// A fault of the server; the message says where.
    Internal = "INTERNAL", Internal;
}

impl Reason {
    /// Whether the server could not do its work, rather than found the request at odds with what there is.
    pub fn is_fault(self) -> bool {
        matches!(self, Reason::StorageFailed | Reason::StorageFull | Reason::Internal)
    }

    /// An error of this reason. `message` says what was wrong, with which value, and what to do.
    pub fn error(self, message: impl Into<String>) -> v1::Error {
        v1::Error {
            code: self.code() as i32,
            reason: self.name().to_owned(),
            message: message.into(),
            metadata: BTreeMap::new(),
        }
    }
}

/// Names of an error's values that tell what a handler raised.
const FAILURE_TYPE: &str = "type";
const FAILURE_MESSAGE: &str = "message";
const FAILURE_STACK_TRACE: &str = "stack_trace";

impl v1::Error {
    /// The same error with one more value that the message speaks of.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// The same error with what a handler raised among its values: where a stream ends with it, there is no other place.
    #[must_use]
    pub fn with_failure(self, failure: &v1::Failure) -> Self {
        self.with(FAILURE_TYPE, &failure.r#type)
            .with(FAILURE_MESSAGE, &failure.message)
            .with(FAILURE_STACK_TRACE, &failure.stack_trace)
    }

    /// What a handler raised, if that is among the values.
    pub fn failure(&self) -> Option<v1::Failure> {
        let value = |name| self.metadata.get(name).cloned();
        if self.known_reason() != Some(Reason::ExecutionFailed) {
            return None;
        }
        Some(v1::Failure {
            r#type: value(FAILURE_TYPE)?,
            message: value(FAILURE_MESSAGE).unwrap_or_else(|| self.message.clone()),
            stack_trace: value(FAILURE_STACK_TRACE).unwrap_or_default(),
        })
    }

    /// The reason, if this version knows it.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::from_name(&self.reason)
    }

    /// The error as the status of a unary call.
    pub fn to_status(&self) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            &self.reason,
            DOMAIN,
            self.metadata.clone().into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        Status::with_error_details(Code::from(self.code), &self.message, details)
    }

    /// The error that a status of a unary call tells, whoever made it.
    pub fn from_status(status: &Status) -> Self {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
        let (reason, metadata) = info.map(|info| (info.reason, info.metadata)).unwrap_or_default();
        v1::Error {
            code: status.code() as i32,
            reason,
            message: status.message().to_owned(),
            metadata: metadata.into_iter().collect(),
        }
    }
}

impl From<v1::Error> for Status {
    fn from(error: v1::Error) -> Self {
        error.to_status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
        }
    }

    #[test]
    fn an_error_carries_what_a_handler_raised() {
        let failure = v1::Failure {
            r#type: "ValueError".to_owned(),
            message: "no apples".to_owned(),
            stack_trace: "line 1".to_owned(),
        };
        let error =
            Reason::ExecutionFailed.error("ValueError in execution e: no apples").with_failure(&failure);
        assert_eq!(error.failure(), Some(failure));
        assert_eq!(Reason::ExecutionFailed.error("nobody raised it").failure(), None);
        assert_eq!(Reason::StreamKeyExists.error("key 7").with("type", "T").failure(), None);
    }

    #[test]
    fn an_error_survives_the_status_of_a_unary_call() {
        let error = Reason::StreamKeyExists.error("key 7 has another item").with("key", 7);
        assert_eq!(v1::Error::from_status(&error.to_status()), error);
    }
}
