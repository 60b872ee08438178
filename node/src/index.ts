/**
 * Perper for Node: agents with calls, streams and state, in as many processes and languages as you like.
 *
 * docs/node.md of the repository is a tutorial.
 */
export { BEGINNING, Stream, type StreamReferenceOptions } from "./model/stream.js";
export { Agent } from "./model/agent.js";
export { Dictionary, type DictionaryBatch } from "./model/dictionary.js";
export { Execution } from "./model/execution.js";
export { List } from "./model/list.js";
export type { Handler, StreamHandler } from "./application/handlers.js";
export { keyed, Keyed, results, Results } from "./application/results.js";
export type { RunningAgent, RunOptions } from "./application/running.js";
export { embedded, type Embedded, type EmbeddedOptions } from "./embedded.js";
export {
  AlreadyExistsError,
  AttemptsExhaustedError,
  CancelledError,
  ClosedError,
  DeadlineExceededError,
  DrainingError,
  ExecutionCancelledError,
  ExecutionCompletedError,
  ExecutionExpiredError,
  ExecutionFailedError,
  FeatureNotSupportedError,
  IndexOutOfRangeError,
  InstanceStoppingError,
  InternalError,
  InvalidArgumentError,
  InvalidKeyError,
  InvalidSettingsError,
  InvalidValueError,
  ItemsRemovedError,
  LimitExceededError,
  ListenerTakenOverError,
  NotFoundError,
  NotManualError,
  OutcomeUnknownError,
  OwnerGoneError,
  ParentEndedError,
  PermissionDeniedError,
  PerperError,
  ProtocolNotSupportedError,
  RemoteError,
  ReservationLostError,
  SequenceAcknowledgedError,
  SessionExpiredError,
  SessionTakenOverError,
  StorageFailedError,
  StorageFullError,
  StreamAbandonedError,
  StreamBacklogFullError,
  StreamCompletedError,
  StreamKeyExistsError,
  StreamKeyNotIncreasingError,
  StreamKeyOffStrideError,
  StreamStartedError,
  UnauthenticatedError,
  UnavailableError,
  UnknownError,
  WriterClosedError,
} from "./errors.js";
export { context, tryContext } from "./extensions/ambient.js";
export type { Context, DeclaredStream, StateOptions, StreamBuilder } from "./extensions/context.js";
export {
  blankStream,
  call,
  callAgent,
  connect,
  declareStream,
  dictionary,
  list,
  startAgent,
  state,
  stopAgent,
  stream,
  withOptions,
} from "./extensions/functions.js";
export type { Entries, Items, ListenOptions } from "./extensions/items.js";
export type {
  CallOptions,
  GeneratedStreamOptions,
  GeneratorOptions,
  StreamOptions,
} from "./extensions/options.js";
export type { StreamWriter } from "./extensions/writer.js";
export type { ConnectOptions } from "./protocol/connection.js";
export type { StreamEnd, StreamInfo, StreamPage } from "./protocol/streams.js";
export { Decimal } from "./values/decimal.js";
export { Instant } from "./values/instant.js";
export { Reference, type ReferenceOptions } from "./values/reference.js";
export { Tagged } from "./values/tagged.js";
export { Uuid } from "./values/uuid.js";
