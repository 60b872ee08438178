"""What can go wrong: one exception for each kind of error, so that programs decide by type."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["BY_CODE", "PerperError"]

BY_CODE: dict[int, type[PerperError]] = {}
"""From the number of a kind, the same in every language, to its exception."""


class PerperError(Exception):
    """Anything that Perper raises. `kind` names it as the protocol does; `metadata` has the values that it speaks of."""

    code: ClassVar[int] = 0
    kind: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        reason: str = "",
        metadata: dict[str, str] | None = None,
        failure: tuple[str, str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.kind
        self.metadata = metadata or {}

    def __init_subclass__(cls, code: int = 0, kind: str = "") -> None:
        super().__init_subclass__()
        if code:
            cls.code, cls.kind = code, kind
            BY_CODE[code] = cls

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.message else self.reason

    def __reduce__(self) -> tuple[type[PerperError], tuple[str, str, dict[str, str]]]:
        return type(self), (self.message, self.reason, self.metadata)


class UnknownError(PerperError, code=1, kind="UNKNOWN"):
    """Something that this version has no kind for; the message and the reason say more."""


class RequestCancelledError(PerperError, code=2, kind="CANCELLED"):
    """The request was given up by something between this process and the Fabric."""


class InvalidSettingsError(PerperError, ValueError, code=3, kind="INVALID_SETTINGS"):
    """A setting is missing or malformed."""


class ClosedError(PerperError, code=4, kind="CLOSED"):
    """This connection has been closed."""


class UnavailableError(PerperError, code=5, kind="UNAVAILABLE"):
    """The Fabric cannot be reached, or cannot serve now."""


class PermissionDeniedError(PerperError, code=6, kind="PERMISSION_DENIED"):
    """The credentials do not allow it."""


class InvalidArgumentError(PerperError, ValueError, code=10, kind="INVALID_ARGUMENT"):
    """An argument of the operation is malformed."""


class InvalidValueError(PerperError, ValueError, code=11, kind="INVALID_VALUE"):
    """Bytes that are no value, or a value of another type than was asked for."""


class InvalidKeyError(PerperError, ValueError, code=12, kind="INVALID_KEY"):
    """A value of a kind that cannot be a dictionary key."""


class LimitExceededError(PerperError, code=13, kind="LIMIT_EXCEEDED"):
    """A limit that the Fabric announced was passed."""


class FeatureNotSupportedError(PerperError, NotImplementedError, code=14, kind="FEATURE_NOT_SUPPORTED"):
    """The Fabric or its engine does not offer this."""


class ProtocolNotSupportedError(PerperError, code=15, kind="PROTOCOL_NOT_SUPPORTED"):
    """The Fabric and this package know no common version of the protocol."""


class UnauthenticatedError(PerperError, code=16, kind="UNAUTHENTICATED"):
    """No bearer token, or a wrong one."""


class StorageFullError(PerperError, code=17, kind="STORAGE_FULL"):
    """The Fabric's disk is nearly full."""


class StorageFailedError(PerperError, code=18, kind="STORAGE_FAILED"):
    """The Fabric's storage failed."""


class DrainingError(PerperError, code=19, kind="DRAINING"):
    """The Fabric is stopping."""


class SessionExpiredError(PerperError, code=30, kind="SESSION_EXPIRED"):
    """The session is not known any more."""


class SessionTakenOverError(PerperError, code=31, kind="SESSION_TAKEN_OVER"):
    """Another connection has attached the session."""


class OutcomeUnknownError(PerperError, code=32, kind="OUTCOME_UNKNOWN"):
    """The operation may or may not have taken effect: the session lapsed before its outcome came."""


class SequenceAcknowledgedError(PerperError, code=33, kind="SEQUENCE_ACKNOWLEDGED"):
    """A request was repeated after its outcome had been acknowledged."""


class NotFoundError(PerperError, LookupError, code=40, kind="NOT_FOUND"):
    """There is no such object."""


class AlreadyExistsError(PerperError, code=41, kind="ALREADY_EXISTS"):
    """An object of that id exists with other content."""


class OwnerGoneError(PerperError, code=42, kind="OWNER_GONE"):
    """The object went with its owner."""


class ExecutionCompletedError(PerperError, code=50, kind="EXECUTION_COMPLETED"):
    """The execution has ended, and its result has been received or forgotten."""


class ExecutionCancelledError(PerperError, code=51, kind="EXECUTION_CANCELLED"):
    """The execution that was called has been cancelled. Not `asyncio.CancelledError`, which is one's own cancellation."""


class DeadlineExceededError(PerperError, TimeoutError, code=52, kind="EXECUTION_DEADLINE"):
    """The execution's deadline passed."""


class ExecutionExpiredError(PerperError, code=53, kind="EXECUTION_EXPIRED"):
    """The execution's result was not fetched in time."""


class ExecutionError(PerperError, code=54, kind="EXECUTION_FAILED"):
    """The handler raised an error: its type and message, and where it was raised.

    `type` and `message` are as its language names them; `remote_traceback` is empty where there is none.
    """

    def __init__(
        self,
        message: str = "",
        reason: str = "",
        metadata: dict[str, str] | None = None,
        failure: tuple[str, str, str] | None = None,
    ) -> None:
        super().__init__(message, reason, metadata)
        self.type, text, self.remote_traceback = failure or ("", message, "")
        self.message = text
        if self.remote_traceback:
            # Shown below the local traceback, from Python 3.11 on.
            self.__notes__ = ["Raised by the handler:\n" + self.remote_traceback.rstrip()]

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type else self.message

    def __reduce__(self) -> tuple[type[ExecutionError], tuple[object, ...]]:  # type: ignore[override]
        failure = (self.type, self.message, self.remote_traceback)
        return type(self), (self.message, self.reason, self.metadata, failure)


class AttemptsExhaustedError(PerperError, code=55, kind="ATTEMPTS_EXHAUSTED"):
    """The execution was given to workers too many times without being completed."""


class ReservationLostError(PerperError, code=56, kind="RESERVATION_LOST"):
    """The reservation does not hold the execution any more."""


class ParentEndedError(PerperError, code=57, kind="PARENT_ENDED"):
    """The attempt that is named as parent has ended."""


class NotManualError(PerperError, code=58, kind="NOT_MANUAL"):
    """The execution may not be completed without a reservation."""


class InstanceStoppingError(PerperError, code=59, kind="INSTANCE_STOPPING"):
    """The instance is being stopped and takes no calls."""


class StreamKeyNotIncreasingError(PerperError, code=70, kind="STREAM_KEY_NOT_INCREASING"):
    """A key that is not larger than the one before it."""


class StreamKeyOffStrideError(PerperError, code=71, kind="STREAM_KEY_OFF_STRIDE"):
    """A key that does not fall on the stream's stride."""


class StreamKeyExistsError(PerperError, code=72, kind="STREAM_KEY_EXISTS"):
    """The stream has another item at that key."""


class WriterClosedError(PerperError, code=73, kind="WRITER_CLOSED"):
    """An earlier batch of the writer was rejected."""


class StreamCompletedError(PerperError, code=74, kind="STREAM_COMPLETED"):
    """The stream has ended."""


class StreamStartedError(PerperError, code=75, kind="STREAM_STARTED"):
    """The stream is started, its options are frozen."""


class StreamBacklogFullError(PerperError, code=76, kind="STREAM_BACKLOG_FULL"):
    """Too many items without a listener."""


class StreamAbandonedError(PerperError, code=77, kind="STREAM_ABANDONED"):
    """The stream's writer ended without completing it."""


class ListenerTakenOverError(PerperError, code=78, kind="LISTENER_TAKEN_OVER"):
    """A later listener of the same name has taken this one's place."""


class ItemsRemovedError(PerperError, code=79, kind="ITEMS_REMOVED"):
    """Items that were asked for have been removed."""


class IndexOutOfRangeError(PerperError, IndexError, code=90, kind="INDEX_OUT_OF_RANGE"):
    """An index past the end of the list."""


class InternalError(PerperError, code=100, kind="INTERNAL"):
    """A fault of the Fabric or of this package; the message says where."""


class ForkedError(PerperError, RuntimeError):
    """The process was forked from the one that this object belongs to."""

    kind = "FORKED"

    def __init__(self, *_: object) -> None:
        super().__init__(
            "this was made before the process was forked, and does not work in the child; connect, or start the "
            "agent, after forking, or use multiprocessing's start method 'spawn'",
            "FORKED",
        )


__all__ += [cls.__name__ for cls in (*BY_CODE.values(), ForkedError)]
