"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.InternalError =
  exports.IndexOutOfRangeError =
  exports.ItemsRemovedError =
  exports.ListenerTakenOverError =
  exports.StreamAbandonedError =
  exports.StreamBacklogFullError =
  exports.StreamStartedError =
  exports.StreamCompletedError =
  exports.WriterClosedError =
  exports.StreamKeyExistsError =
  exports.StreamKeyOffStrideError =
  exports.StreamKeyNotIncreasingError =
  exports.InstanceStoppingError =
  exports.NotManualError =
  exports.ParentEndedError =
  exports.ReservationLostError =
  exports.AttemptsExhaustedError =
  exports.ExecutionFailedError =
  exports.ExecutionExpiredError =
  exports.DeadlineExceededError =
  exports.ExecutionCancelledError =
  exports.ExecutionCompletedError =
  exports.OwnerGoneError =
  exports.AlreadyExistsError =
  exports.NotFoundError =
  exports.SequenceAcknowledgedError =
  exports.OutcomeUnknownError =
  exports.SessionTakenOverError =
  exports.SessionExpiredError =
  exports.DrainingError =
  exports.StorageFailedError =
  exports.StorageFullError =
  exports.UnauthenticatedError =
  exports.ProtocolNotSupportedError =
  exports.FeatureNotSupportedError =
  exports.LimitExceededError =
  exports.InvalidKeyError =
  exports.InvalidValueError =
  exports.InvalidArgumentError =
  exports.PermissionDeniedError =
  exports.UnavailableError =
  exports.ClosedError =
  exports.InvalidSettingsError =
  exports.CancelledError =
  exports.UnknownError =
  exports.RemoteError =
  exports.PerperError =
    void 0;
exports.errorOf = errorOf;
exports.unlessRefused = unlessRefused;
exports.failureOf = failureOf;
exports.errorClasses = errorClasses;
/**
 * What every error of this library is. Each kind has a class and a `code`, which is the same in every language and
 * never changes.
 */
class PerperError extends Error {
  /** The reason as the Fabric names it: `code`, unless the Fabric is newer than this library. */
  reason;
  /** The values that the message speaks of, by name. */
  metadata;
  constructor(message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason ?? this.code;
    this.metadata = options.metadata ?? {};
  }
}
exports.PerperError = PerperError;
/** An error as another process raised it, in whatever language: the `cause` of an {@link ExecutionFailedError}. */
class RemoteError extends Error {
  /** Its type, as its language names it. */
  type;
  constructor(type, message, stack) {
    super(message);
    this.type = type;
    this.name = type === "" ? "RemoteError" : type;
    // Where it was raised, not where it was read.
    const title = `${this.name}: ${message}`;
    this.stack = stack === "" ? title : stack.includes(message) ? stack : `${title}\n${stack}`;
  }
}
exports.RemoteError = RemoteError;
const byNumber = new Map();
/** Gives a class its place in the table: a number and a name, both frozen. */
function kind(number, code, type) {
  Object.defineProperty(type.prototype, "code", { value: code, enumerable: true });
  Object.defineProperty(type.prototype, "name", { value: type.name, configurable: true, writable: true });
  byNumber.set(number, type);
  return type;
}
/** Something that this version has no kind for; `message` and `reason` say more. */
class UnknownError extends PerperError {}
exports.UnknownError = UnknownError;
kind(1, "UNKNOWN", UnknownError);
/** The request was given up by something between client and Fabric. */
class CancelledError extends PerperError {}
exports.CancelledError = CancelledError;
kind(2, "CANCELLED", CancelledError);
/** A setting is missing or malformed. */
class InvalidSettingsError extends PerperError {}
exports.InvalidSettingsError = InvalidSettingsError;
kind(3, "INVALID_SETTINGS", InvalidSettingsError);
/** This connection has been closed. */
class ClosedError extends PerperError {}
exports.ClosedError = ClosedError;
kind(4, "CLOSED", ClosedError);
/** The Fabric cannot be reached, or cannot serve now. */
class UnavailableError extends PerperError {}
exports.UnavailableError = UnavailableError;
kind(5, "UNAVAILABLE", UnavailableError);
/** The credentials do not allow it. */
class PermissionDeniedError extends PerperError {}
exports.PermissionDeniedError = PermissionDeniedError;
kind(6, "PERMISSION_DENIED", PermissionDeniedError);
/** An argument of the operation is malformed. */
class InvalidArgumentError extends PerperError {}
exports.InvalidArgumentError = InvalidArgumentError;
kind(10, "INVALID_ARGUMENT", InvalidArgumentError);
/** Bytes that are no value, or not of the type that was asked for. */
class InvalidValueError extends PerperError {}
exports.InvalidValueError = InvalidValueError;
kind(11, "INVALID_VALUE", InvalidValueError);
/** A value of a kind that cannot be a dictionary key. */
class InvalidKeyError extends PerperError {}
exports.InvalidKeyError = InvalidKeyError;
kind(12, "INVALID_KEY", InvalidKeyError);
/** A limit that the Fabric announced was passed. */
class LimitExceededError extends PerperError {}
exports.LimitExceededError = LimitExceededError;
kind(13, "LIMIT_EXCEEDED", LimitExceededError);
/** The Fabric or its engine does not offer this. */
class FeatureNotSupportedError extends PerperError {}
exports.FeatureNotSupportedError = FeatureNotSupportedError;
kind(14, "FEATURE_NOT_SUPPORTED", FeatureNotSupportedError);
/** The Fabric and this library know no common version of the protocol. */
class ProtocolNotSupportedError extends PerperError {}
exports.ProtocolNotSupportedError = ProtocolNotSupportedError;
kind(15, "PROTOCOL_NOT_SUPPORTED", ProtocolNotSupportedError);
/** No bearer token, or a wrong one. */
class UnauthenticatedError extends PerperError {}
exports.UnauthenticatedError = UnauthenticatedError;
kind(16, "UNAUTHENTICATED", UnauthenticatedError);
/** The Fabric's disk is nearly full. */
class StorageFullError extends PerperError {}
exports.StorageFullError = StorageFullError;
kind(17, "STORAGE_FULL", StorageFullError);
/** The Fabric's storage failed. */
class StorageFailedError extends PerperError {}
exports.StorageFailedError = StorageFailedError;
kind(18, "STORAGE_FAILED", StorageFailedError);
/** The Fabric is stopping. */
class DrainingError extends PerperError {}
exports.DrainingError = DrainingError;
kind(19, "DRAINING", DrainingError);
/** The session is not known any more. */
class SessionExpiredError extends PerperError {}
exports.SessionExpiredError = SessionExpiredError;
kind(30, "SESSION_EXPIRED", SessionExpiredError);
/** Another connection has attached the session. */
class SessionTakenOverError extends PerperError {}
exports.SessionTakenOverError = SessionTakenOverError;
kind(31, "SESSION_TAKEN_OVER", SessionTakenOverError);
/** The operation may or may not have taken effect. */
class OutcomeUnknownError extends PerperError {}
exports.OutcomeUnknownError = OutcomeUnknownError;
kind(32, "OUTCOME_UNKNOWN", OutcomeUnknownError);
/** A request was repeated after its outcome had been acknowledged. */
class SequenceAcknowledgedError extends PerperError {}
exports.SequenceAcknowledgedError = SequenceAcknowledgedError;
kind(33, "SEQUENCE_ACKNOWLEDGED", SequenceAcknowledgedError);
/** There is no such object. */
class NotFoundError extends PerperError {}
exports.NotFoundError = NotFoundError;
kind(40, "NOT_FOUND", NotFoundError);
/** An object of that id exists with other content. */
class AlreadyExistsError extends PerperError {}
exports.AlreadyExistsError = AlreadyExistsError;
kind(41, "ALREADY_EXISTS", AlreadyExistsError);
/** The object went with its owner. */
class OwnerGoneError extends PerperError {}
exports.OwnerGoneError = OwnerGoneError;
kind(42, "OWNER_GONE", OwnerGoneError);
/** The execution has ended, and its result has been received or forgotten. */
class ExecutionCompletedError extends PerperError {}
exports.ExecutionCompletedError = ExecutionCompletedError;
kind(50, "EXECUTION_COMPLETED", ExecutionCompletedError);
/** The execution was cancelled: the one that was called, or the one that runs. */
class ExecutionCancelledError extends PerperError {}
exports.ExecutionCancelledError = ExecutionCancelledError;
kind(51, "EXECUTION_CANCELLED", ExecutionCancelledError);
/** The deadline passed. */
class DeadlineExceededError extends PerperError {}
exports.DeadlineExceededError = DeadlineExceededError;
kind(52, "EXECUTION_DEADLINE", DeadlineExceededError);
/** The execution's result was not fetched in time. */
class ExecutionExpiredError extends PerperError {}
exports.ExecutionExpiredError = ExecutionExpiredError;
kind(53, "EXECUTION_EXPIRED", ExecutionExpiredError);
/** The handler raised an error: `cause` is it, a {@link RemoteError} with the stack of the other process. */
class ExecutionFailedError extends PerperError {}
exports.ExecutionFailedError = ExecutionFailedError;
kind(54, "EXECUTION_FAILED", ExecutionFailedError);
/** The execution was given to workers too many times without being completed. */
class AttemptsExhaustedError extends PerperError {}
exports.AttemptsExhaustedError = AttemptsExhaustedError;
kind(55, "ATTEMPTS_EXHAUSTED", AttemptsExhaustedError);
/** The reservation does not hold the execution any more. */
class ReservationLostError extends PerperError {}
exports.ReservationLostError = ReservationLostError;
kind(56, "RESERVATION_LOST", ReservationLostError);
/** The attempt that is named as parent has ended. */
class ParentEndedError extends PerperError {}
exports.ParentEndedError = ParentEndedError;
kind(57, "PARENT_ENDED", ParentEndedError);
/** The execution may not be completed without a reservation. */
class NotManualError extends PerperError {}
exports.NotManualError = NotManualError;
kind(58, "NOT_MANUAL", NotManualError);
/** The instance is being stopped and takes no calls. */
class InstanceStoppingError extends PerperError {}
exports.InstanceStoppingError = InstanceStoppingError;
kind(59, "INSTANCE_STOPPING", InstanceStoppingError);
/** A key that is not larger than the one before it. */
class StreamKeyNotIncreasingError extends PerperError {}
exports.StreamKeyNotIncreasingError = StreamKeyNotIncreasingError;
kind(70, "STREAM_KEY_NOT_INCREASING", StreamKeyNotIncreasingError);
/** A key that does not fall on the stream's stride. */
class StreamKeyOffStrideError extends PerperError {}
exports.StreamKeyOffStrideError = StreamKeyOffStrideError;
kind(71, "STREAM_KEY_OFF_STRIDE", StreamKeyOffStrideError);
/** The stream has another item at that key. */
class StreamKeyExistsError extends PerperError {}
exports.StreamKeyExistsError = StreamKeyExistsError;
kind(72, "STREAM_KEY_EXISTS", StreamKeyExistsError);
/** An earlier batch of the writer was rejected. */
class WriterClosedError extends PerperError {}
exports.WriterClosedError = WriterClosedError;
kind(73, "WRITER_CLOSED", WriterClosedError);
/** The stream has ended. */
class StreamCompletedError extends PerperError {}
exports.StreamCompletedError = StreamCompletedError;
kind(74, "STREAM_COMPLETED", StreamCompletedError);
/** The stream is started, its options are frozen. */
class StreamStartedError extends PerperError {}
exports.StreamStartedError = StreamStartedError;
kind(75, "STREAM_STARTED", StreamStartedError);
/** Too many items without a listener. */
class StreamBacklogFullError extends PerperError {}
exports.StreamBacklogFullError = StreamBacklogFullError;
kind(76, "STREAM_BACKLOG_FULL", StreamBacklogFullError);
/** The stream's writer ended without completing it. */
class StreamAbandonedError extends PerperError {}
exports.StreamAbandonedError = StreamAbandonedError;
kind(77, "STREAM_ABANDONED", StreamAbandonedError);
/** A later attach of the same name has taken the listener over. */
class ListenerTakenOverError extends PerperError {}
exports.ListenerTakenOverError = ListenerTakenOverError;
kind(78, "LISTENER_TAKEN_OVER", ListenerTakenOverError);
/** Items that were asked for have been removed. */
class ItemsRemovedError extends PerperError {}
exports.ItemsRemovedError = ItemsRemovedError;
kind(79, "ITEMS_REMOVED", ItemsRemovedError);
/** An index past the end of the list. */
class IndexOutOfRangeError extends PerperError {}
exports.IndexOutOfRangeError = IndexOutOfRangeError;
kind(90, "INDEX_OUT_OF_RANGE", IndexOutOfRangeError);
/** A fault of the Fabric or of this library; the message says where. */
class InternalError extends PerperError {}
exports.InternalError = InternalError;
kind(100, "INTERNAL", InternalError);
/** The error of that number. A number of a later version is an {@link UnknownError} with the reason as it came. */
function errorOf(number, reason, message, failure, metadata = {}) {
  const type = byNumber.get(number) ?? UnknownError;
  const cause = failure && new RemoteError(failure.type, failure.message, failure.stack);
  return new type(message, { reason, metadata, cause });
}
/** What native code brought, or the error that it was refused with. */
function unlessRefused(settled) {
  if (!("reason" in settled && "code" in settled)) return settled;
  throw errorOf(settled.code, settled.reason, settled.message);
}
/** How an error of a handler crosses: a callee's as it was raised there, anything else by its type. */
function failureOf(error) {
  if (error instanceof ExecutionFailedError && error.cause instanceof RemoteError) {
    const { type, message, stack = "" } = error.cause;
    return { type, message, stack };
  }
  if (error instanceof PerperError) {
    return { type: error.reason, message: error.message, stack: stackOf(error) };
  }
  if (error instanceof Error) {
    const constructor = error.constructor?.name ?? "";
    const type = error.name !== "Error" ? error.name : constructor || "Error";
    return { type, message: error.message, stack: stackOf(error) };
  }
  return { type: typeof error, message: String(error), stack: "" };
}
/** The stack of an error with those of its causes. */
function stackOf(error) {
  const stacks = [];
  const seen = new Set();
  let current = error;
  while (current instanceof Error && !seen.has(current)) {
    seen.add(current);
    stacks.push(current.stack ?? String(current));
    current = current.cause;
  }
  return stacks.join("\nCaused by: ");
}
/** @internal The classes by number, for the test that holds them to the core's list. */
function errorClasses() {
  return byNumber;
}
