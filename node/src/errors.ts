import type { Refusal } from "./native.js";

/** What is known of an error beside its message. */
export interface PerperErrorOptions {
  /** The reason as a newer Fabric names it, where this version has no class for it. */
  reason?: string;
  /** The values that the message speaks of, by name. */
  metadata?: Record<string, string>;
  cause?: unknown;
}

/**
 * What every error of this library is. Each kind has a class and a `code`, which is the same in every language and
 * never changes.
 */
export class PerperError extends Error {
  /** The name of the kind: what programs decide by where `instanceof` is not at hand. */
  declare readonly code: string;
  /** The reason as the Fabric names it: `code`, unless the Fabric is newer than this library. */
  readonly reason: string;
  /** The values that the message speaks of, by name. */
  readonly metadata: Readonly<Record<string, string>>;

  constructor(message: string, options: PerperErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason ?? this.code;
    this.metadata = options.metadata ?? {};
  }
}

/** An error as another process raised it, in whatever language: the `cause` of an {@link ExecutionFailedError}. */
export class RemoteError extends Error {
  /** Its type, as its language names it. */
  readonly type: string;

  constructor(type: string, message: string, stack: string) {
    super(message);
    this.type = type;
    this.name = type === "" ? "RemoteError" : type;
    // Where it was raised, not where it was read.
    const title = `${this.name}: ${message}`;
    this.stack = stack === "" ? title : stack.includes(message) ? stack : `${title}\n${stack}`;
  }
}

type ErrorClass = new (message: string, options?: PerperErrorOptions) => PerperError;

const byNumber = new Map<number, ErrorClass>();

/** Gives a class its place in the table: a number and a name, both frozen. */
function kind<C extends ErrorClass>(number: number, code: string, type: C): C {
  Object.defineProperty(type.prototype, "code", { value: code, enumerable: true });
  Object.defineProperty(type.prototype, "name", { value: type.name, configurable: true, writable: true });
  byNumber.set(number, type);
  return type;
}

/** Something that this version has no kind for; `message` and `reason` say more. */
export class UnknownError extends PerperError {}
kind(1, "UNKNOWN", UnknownError);
/** What runs has been cancelled, and whatever it waits for is given up: the reason of `context().signal`. */
export class CancelledError extends PerperError {}
kind(2, "CANCELLED", CancelledError);
/** A setting is missing or malformed. */
export class InvalidSettingsError extends PerperError {}
kind(3, "INVALID_SETTINGS", InvalidSettingsError);
/** This connection has been closed. */
export class ClosedError extends PerperError {}
kind(4, "CLOSED", ClosedError);
/** The Fabric cannot be reached, or cannot serve now. */
export class UnavailableError extends PerperError {}
kind(5, "UNAVAILABLE", UnavailableError);
/** The credentials do not allow it. */
export class PermissionDeniedError extends PerperError {}
kind(6, "PERMISSION_DENIED", PermissionDeniedError);
/** An argument of the operation is malformed. */
export class InvalidArgumentError extends PerperError {}
kind(10, "INVALID_ARGUMENT", InvalidArgumentError);
/** Bytes that are no value, or not of the type that was asked for. */
export class InvalidValueError extends PerperError {}
kind(11, "INVALID_VALUE", InvalidValueError);
/** A value of a kind that cannot be a dictionary key. */
export class InvalidKeyError extends PerperError {}
kind(12, "INVALID_KEY", InvalidKeyError);
/** A limit that the Fabric announced was passed. */
export class LimitExceededError extends PerperError {}
kind(13, "LIMIT_EXCEEDED", LimitExceededError);
/** The Fabric or its engine does not offer this. */
export class FeatureNotSupportedError extends PerperError {}
kind(14, "FEATURE_NOT_SUPPORTED", FeatureNotSupportedError);
/** The Fabric and this library know no common version of the protocol. */
export class ProtocolNotSupportedError extends PerperError {}
kind(15, "PROTOCOL_NOT_SUPPORTED", ProtocolNotSupportedError);
/** No bearer token, or a wrong one. */
export class UnauthenticatedError extends PerperError {}
kind(16, "UNAUTHENTICATED", UnauthenticatedError);
/** The Fabric's disk is nearly full. */
export class StorageFullError extends PerperError {}
kind(17, "STORAGE_FULL", StorageFullError);
/** The Fabric's storage failed. */
export class StorageFailedError extends PerperError {}
kind(18, "STORAGE_FAILED", StorageFailedError);
/** The Fabric is stopping. */
export class DrainingError extends PerperError {}
kind(19, "DRAINING", DrainingError);
/** The session is not known any more. */
export class SessionExpiredError extends PerperError {}
kind(30, "SESSION_EXPIRED", SessionExpiredError);
/** Another connection has attached the session. */
export class SessionTakenOverError extends PerperError {}
kind(31, "SESSION_TAKEN_OVER", SessionTakenOverError);
/** The operation may or may not have taken effect. */
export class OutcomeUnknownError extends PerperError {}
kind(32, "OUTCOME_UNKNOWN", OutcomeUnknownError);
/** A request was repeated after its outcome had been acknowledged. */
export class SequenceAcknowledgedError extends PerperError {}
kind(33, "SEQUENCE_ACKNOWLEDGED", SequenceAcknowledgedError);
/** There is no such object. */
export class NotFoundError extends PerperError {}
kind(40, "NOT_FOUND", NotFoundError);
/** An object of that id exists with other content. */
export class AlreadyExistsError extends PerperError {}
kind(41, "ALREADY_EXISTS", AlreadyExistsError);
/** The object went with its owner. */
export class OwnerGoneError extends PerperError {}
kind(42, "OWNER_GONE", OwnerGoneError);
/** The execution has ended, and its result has been received or forgotten. */
export class ExecutionCompletedError extends PerperError {}
kind(50, "EXECUTION_COMPLETED", ExecutionCompletedError);
/** The execution that was called, or waited for, was cancelled by somebody else. */
export class ExecutionCancelledError extends PerperError {}
kind(51, "EXECUTION_CANCELLED", ExecutionCancelledError);
/** The deadline passed. */
export class DeadlineExceededError extends PerperError {}
kind(52, "EXECUTION_DEADLINE", DeadlineExceededError);
/** The execution's result was not fetched in time. */
export class ExecutionExpiredError extends PerperError {}
kind(53, "EXECUTION_EXPIRED", ExecutionExpiredError);
/** The handler raised an error: `cause` is it, a {@link RemoteError} with the stack of the other process. */
export class ExecutionFailedError extends PerperError {
  declare readonly cause?: unknown;
}
kind(54, "EXECUTION_FAILED", ExecutionFailedError);
/** The execution was given to workers too many times without being completed. */
export class AttemptsExhaustedError extends PerperError {}
kind(55, "ATTEMPTS_EXHAUSTED", AttemptsExhaustedError);
/** The reservation does not hold the execution any more. */
export class ReservationLostError extends PerperError {}
kind(56, "RESERVATION_LOST", ReservationLostError);
/** The attempt that is named as parent has ended. */
export class ParentEndedError extends PerperError {}
kind(57, "PARENT_ENDED", ParentEndedError);
/** The execution may not be completed without a reservation. */
export class NotManualError extends PerperError {}
kind(58, "NOT_MANUAL", NotManualError);
/** The instance is being stopped and takes no calls. */
export class InstanceStoppingError extends PerperError {}
kind(59, "INSTANCE_STOPPING", InstanceStoppingError);
/** A key that is not larger than the one before it. */
export class StreamKeyNotIncreasingError extends PerperError {}
kind(70, "STREAM_KEY_NOT_INCREASING", StreamKeyNotIncreasingError);
/** A key that does not fall on the stream's stride. */
export class StreamKeyOffStrideError extends PerperError {}
kind(71, "STREAM_KEY_OFF_STRIDE", StreamKeyOffStrideError);
/** The stream has another item at that key. */
export class StreamKeyExistsError extends PerperError {}
kind(72, "STREAM_KEY_EXISTS", StreamKeyExistsError);
/** An earlier batch of the writer was rejected. */
export class WriterClosedError extends PerperError {}
kind(73, "WRITER_CLOSED", WriterClosedError);
/** The stream has ended. */
export class StreamCompletedError extends PerperError {}
kind(74, "STREAM_COMPLETED", StreamCompletedError);
/** The stream is started, its options are frozen. */
export class StreamStartedError extends PerperError {}
kind(75, "STREAM_STARTED", StreamStartedError);
/** Too many items without a listener. */
export class StreamBacklogFullError extends PerperError {}
kind(76, "STREAM_BACKLOG_FULL", StreamBacklogFullError);
/** The stream's writer ended without completing it. */
export class StreamAbandonedError extends PerperError {}
kind(77, "STREAM_ABANDONED", StreamAbandonedError);
/** A later attach of the same name has taken the listener over. */
export class ListenerTakenOverError extends PerperError {}
kind(78, "LISTENER_TAKEN_OVER", ListenerTakenOverError);
/** Items that were asked for have been removed. */
export class ItemsRemovedError extends PerperError {}
kind(79, "ITEMS_REMOVED", ItemsRemovedError);
/** An index past the end of the list. */
export class IndexOutOfRangeError extends PerperError {}
kind(90, "INDEX_OUT_OF_RANGE", IndexOutOfRangeError);
/** A fault of the Fabric or of this library; the message says where. */
export class InternalError extends PerperError {}
kind(100, "INTERNAL", InternalError);

/** What a handler raised, as it crosses. */
export interface Failure {
  type: string;
  message: string;
  stack: string;
}

/** The error of that number. A number of a later version is an {@link UnknownError} with the reason as it came. */
export function errorOf(
  number: number,
  reason: string,
  message: string,
  failure?: Failure,
  metadata: Record<string, string> = {},
): PerperError {
  const type = byNumber.get(number) ?? UnknownError;
  const cause = failure && new RemoteError(failure.type, failure.message, failure.stack);
  return new type(message, { reason, metadata, cause });
}

/** What native code brought, or the error that it was refused with. */
export function unlessRefused<T extends object>(settled: T | Refusal): T {
  if (!("reason" in settled && "code" in settled)) return settled;
  throw errorOf(settled.code, settled.reason, settled.message);
}

/** How an error of a handler crosses: a callee's as it was raised there, anything else by its type. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ExecutionFailedError && error.cause instanceof RemoteError) {
    const { type, message, stack = "" } = error.cause;
    return { type, message, stack };
  }
  if (error instanceof PerperError) {
    return { type: error.reason, message: error.message, stack: stackOf(error) };
  }
  if (error instanceof Error) {
    const constructor = (error.constructor as { name?: string } | undefined)?.name ?? "";
    const type = error.name !== "Error" ? error.name : constructor || "Error";
    return { type, message: error.message, stack: stackOf(error) };
  }
  return { type: typeof error, message: String(error), stack: "" };
}

/** The stack of an error with those of its causes. */
function stackOf(error: Error): string {
  const stacks: string[] = [];
  const seen = new Set<unknown>();
  let current: unknown = error;
  while (current instanceof Error && !seen.has(current)) {
    seen.add(current);
    stacks.push(current.stack ?? String(current));
    current = current.cause;
  }
  return stacks.join("\nCaused by: ");
}

/** @internal The classes by number, for the test that holds them to the core's list. */
export function errorClasses(): ReadonlyMap<number, ErrorClass> {
  return byNumber;
}
