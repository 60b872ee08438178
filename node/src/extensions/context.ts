import { giveUpOn } from "./aborts.js";
import { ambient } from "./ambient.js";
import { cancelledAt, type Invocation } from "./invocation.js";
import { checkTimeout, earlier, strideOf, writeStreamOptions } from "./options.js";
import type { CallOptions, GeneratedStreamOptions, StreamOptions } from "./options.js";
import { InvalidArgumentError } from "../errors.js";
import { Agent } from "../model/agent.js";
import { Dictionary } from "../model/dictionary.js";
import { Execution } from "../model/execution.js";
import { List } from "../model/list.js";
import { Stream } from "../model/stream.js";
import type { Connection } from "../protocol/connection.js";
import { Operation } from "../protocol/operations.js";
import type { Port } from "../protocol/port.js";
import { nothing, results, type Reader } from "../protocol/reader.js";
import { encodeInto } from "../values/encode.js";
import type { Writer } from "../values/writer.js";

/** How dictionaries and lists are made. */
export interface StateOptions {
  /** Found again under that name by the same instance. Without one it has a new id. */
  name?: string;
  /** It stays when the instance goes. */
  detached?: boolean;
}

/** States that a connection remembers to have created. */
const MOST_STATES = 10_000;

/** What a context is made of. */
interface Parts {
  connection: Connection;
  agent: string;
  instance: string;
  invocation: Invocation | undefined;
  /** By `performance.now()`. */
  deadline: number | undefined;
  signals: readonly AbortSignal[];
}

/** A stream that is known before it has been started: so that others may be told of it. */
export class DeclaredStream<T = unknown> {
  readonly stream: Stream<T>;
  readonly #start: (args: unknown[]) => Promise<void>;

  /** @internal */
  constructor(stream: Stream<T>, start: (args: unknown[]) => Promise<void>) {
    this.stream = stream;
    this.#start = start;
  }

  /** Starts its generator. */
  async start(...args: unknown[]): Promise<Stream<T>> {
    await this.#start(args);
    return this.stream;
  }
}

/** A stream that will have a generator. */
export class StreamBuilder<T = unknown> {
  readonly #context: Context;
  readonly #delegate: string;
  readonly #options: GeneratedStreamOptions;

  /** @internal */
  constructor(context: Context, delegate: string, options: GeneratedStreamOptions) {
    this.#context = context;
    this.#delegate = delegate;
    this.#options = options;
  }

  /** Starts the generator with these arguments. It runs once somebody listens, or at once if it is an action. */
  async start(...args: unknown[]): Promise<Stream<T>> {
    const context = this.#context;
    const execution = context.newId();
    const [stream, created] = context.createStream<T>(this.#options, false, execution);
    // Both are under way at once; the core holds the second back until the first is there.
    const started = this.#generate(stream, execution, args);
    started.catch(() => undefined);
    await created;
    await started;
    return stream;
  }

  /** Makes the stream known without starting it. */
  async declare(): Promise<DeclaredStream<T>> {
    const [stream, created] = this.#context.createStream<T>(this.#options, true, "");
    await created;
    return new DeclaredStream(stream, async (args) => {
      const context = this.#context;
      const execution = context.newId();
      const frozen = context.request(
        Operation.startStream,
        (out) => {
          out.u64(context.invocationId);
          out.text(stream.stream);
          writeStreamOptions(out, this.#options);
          out.text(execution);
        },
        nothing,
      );
      const started = this.#generate(stream, execution, args);
      started.catch(() => undefined);
      await frozen;
      await started;
    });
  }

  #generate(stream: Stream, execution: string, args: unknown[]): Promise<unknown> {
    const context = this.#context;
    return context.request(
      Operation.createExecution,
      (out) => {
        out.u64(context.invocationId);
        out.bool(false);
        out.u64(0);
        out.text(execution);
        out.text(context.agent.agent);
        out.text(context.instance);
        out.text(this.#delegate);
        writeArguments(out, args);
        out.u32(0);
        out.text(context.instance);
        out.text(stream.stream);
        out.bool(!this.#options.action);
        out.bool(false);
      },
      nothing,
    );
  }
}

/**
 * Who code runs for: the connection, the agent and its instance, and within a handler the execution with its deadline
 * and its cancellation. Around a handler it is set by itself; the functions of this package are its methods.
 */
export class Context {
  readonly #parts: Parts;

  /** @internal */
  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @internal */
  get connection(): Connection {
    return this.#parts.connection;
  }

  /** @internal */
  get port(): Port {
    return this.#parts.connection.port;
  }

  /** The current instance of the current agent. */
  get agent(): Agent {
    return new Agent(this.#parts.agent, this.#parts.instance);
  }

  /** The id of the current instance; empty for a program that is no agent. */
  get instance(): string {
    return this.#parts.instance;
  }

  /** The execution that runs; undefined outside of handlers, and once the handler has returned. */
  get execution(): Execution | undefined {
    const { invocation } = this.#parts;
    if (invocation === undefined || invocation.ended || invocation.execution === "") return undefined;
    return new Execution(invocation.execution);
  }

  /** The delegate that was called. */
  get delegate(): string | undefined {
    return this.#parts.invocation?.delegate;
  }

  /** Which attempt at the execution this is, from 1. */
  get attempt(): number | undefined {
    return this.#parts.invocation?.attempt;
  }

  /** What the caller sent beside the arguments. */
  get headers(): Readonly<Record<string, string>> {
    return this.#parts.invocation?.headers ?? {};
  }

  /** The place in the caller's trace, as the W3C's "Trace Context" writes it. */
  get traceparent(): string | undefined {
    return this.#parts.invocation?.traceparent;
  }

  /** Milliseconds until the deadline; undefined where there is none. */
  get remaining(): number | undefined {
    const { deadline, invocation } = this.#parts;
    if (deadline === undefined || invocation?.ended) return undefined;
    return Math.max(0, deadline - performance.now());
  }

  /**
   * Aborted when the execution is cancelled, its deadline passes or its worker has lost it, and when a signal of
   * `withOptions` is.
   */
  get signal(): AbortSignal {
    const { invocation, signals } = this.#parts;
    const all = invocation === undefined ? signals : [invocation.signal, ...signals];
    return all.length === 1 ? (all[0] as AbortSignal) : AbortSignal.any([...all]);
  }

  /** The same with a deadline, or with a signal that gives up what is waited for. */
  withOptions(options: CallOptions): Context {
    checkTimeout(options.timeout);
    const parts = this.#parts;
    const deadline = options.timeout === undefined ? undefined : performance.now() + options.timeout;
    return new Context({
      ...parts,
      deadline: earlier(parts.deadline, deadline),
      signals: options.signal === undefined ? parts.signals : [...parts.signals, options.signal],
    });
  }

  /** The same in another instance. */
  withInstance(agent: Agent): Context {
    return new Context({ ...this.#parts, agent: agent.agent, instance: agent.instance });
  }

  /** Runs a function in this context, with everything that it awaits, and every timer that it sets. */
  run<R, A extends unknown[]>(run: (...args: A) => R, ...args: A): R {
    return ambient.current.run(this, run, ...args);
  }

  /** Calls a delegate of the current instance. */
  call<R = unknown>(delegate: string, ...args: unknown[]): Promise<R> {
    if (this.#parts.agent === "") {
      return Promise.reject(
        new InvalidArgumentError(
          `the call of ${JSON.stringify(delegate)} names no agent and this context has none; use \`callAgent\`, or ` +
            "set X_PERPER_AGENT",
        ),
      );
    }
    return this.#call(this.#parts.agent, this.#parts.instance, delegate, args) as Promise<R>;
  }

  /** Calls a delegate of an agent: of one instance, or, where that is empty, of the agent as a whole. */
  callAgent<R = unknown>(agent: Agent | string, delegate: string, ...args: unknown[]): Promise<R> {
    const { agent: name, instance } = typeof agent === "string" ? new Agent(agent) : agent;
    return this.#call(name, instance, delegate, args) as Promise<R>;
  }

  #call(agent: string, instance: string, delegate: string, args: unknown[]): Promise<unknown> {
    return this.request(
      Operation.call,
      (out) => {
        out.u64(this.invocationId);
        out.u64(this.timeout());
        out.text(agent);
        out.text(instance);
        out.text(delegate);
        writeArguments(out, args);
        out.u32(0);
      },
      results,
      true,
    );
  }

  /** Starts an instance of an agent, and gives it with what its `Start` returned. */
  async startAgent<R = unknown>(agent: string, ...args: unknown[]): Promise<[Agent, R]> {
    const instance = this.newId();
    const started = await this.request(
      Operation.startInstance,
      (out) => {
        out.u64(this.invocationId);
        out.u64(this.timeout());
        out.text(agent);
        out.text(instance);
        out.text(this.#parts.instance);
        writeArguments(out, args);
        out.u32(0);
      },
      (reader) => {
        reader.u64();
        return results(reader);
      },
      true,
    );
    return [new Agent(agent, instance), started as R];
  }

  /**
   * Stops an instance: its `Stop` is called, and what it owns goes with it. Without the call if `force` says so. Tells
   * whether it was there.
   */
  stopAgent(agent: Agent, options: { force?: boolean } = {}): Promise<boolean> {
    return this.request(
      Operation.stopInstance,
      (out) => {
        out.text(agent.instance);
        out.bool(options.force ?? false);
        out.u64(this.timeout());
      },
      (reader) => reader.i64() !== 0n,
      true,
    );
  }

  /** A stream whose items a delegate of the current instance will yield. */
  stream<T = unknown>(delegate: string, options: GeneratedStreamOptions = {}): StreamBuilder<T> {
    return new StreamBuilder<T>(this, delegate, options);
  }

  /** A stream without a generator, for whoever has the reference to write to. */
  async blankStream<T = unknown>(options: StreamOptions = {}): Promise<Stream<T>> {
    const [stream, created] = this.createStream<T>(options, false, "");
    await created;
    return stream;
  }

  /** The dictionary that each instance has of its own. */
  get state(): Dictionary {
    const { connection, instance, invocation } = this.#parts;
    if (instance === "") {
      throw new InvalidArgumentError(
        "this context belongs to no instance, so it has no state; use `dictionary()`, or call this from a handler",
      );
    }
    const known = `${invocation?.incarnation ?? 0} ${instance}`;
    if (!connection.states.has(known)) {
      // Creating one that is there is harmless, so forgetting which are bounds the memory of a long life.
      if (connection.states.size >= MOST_STATES) connection.states.clear();
      connection.states.add(known);
      // It is there as soon as something uses it: the core keeps the order. Should this fail, so does that.
      this.#create(Operation.createDictionary, instance, false, true).catch(() =>
        connection.states.delete(known),
      );
    }
    return new Dictionary(instance);
  }

  /** A new dictionary, or the one of that name. */
  async dictionary(options: StateOptions = {}): Promise<Dictionary> {
    const id = this.#stateId(options);
    await this.#create(Operation.createDictionary, id, options.detached ?? false, true);
    return new Dictionary(id);
  }

  /** A new list, or the one of that name. */
  async list(options: StateOptions = {}): Promise<List> {
    const id = this.#stateId(options);
    await this.#create(Operation.createList, id, options.detached ?? false, false);
    return new List(id);
  }

  #stateId(options: StateOptions): string {
    return options.name === undefined ? this.newId() : `${this.#parts.instance}/${options.name}`;
  }

  #create(operation: number, id: string, detached: boolean, indexed: boolean): Promise<void> {
    return this.request(
      operation,
      (out) => {
        out.u64(this.invocationId);
        out.text(id);
        out.text(detached ? "" : this.#parts.instance);
        if (indexed) out.u32(0);
      },
      nothing,
    );
  }

  /** Closes the connection, for a program that is no agent: what waits fails with a `ClosedError`. */
  async close(): Promise<void> {
    if (ambient.connected === this) ambient.connected = undefined;
    await this.#parts.connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal An id that nobody else makes. */
  newId(): string {
    return this.#parts.connection.native.newId();
  }

  /** @internal The invocation as the core knows it; 0 for none. */
  get invocationId(): number {
    const { invocation } = this.#parts;
    return invocation === undefined || invocation.ended ? 0 : invocation.id;
  }

  /** @internal Milliseconds that remain; 0 for no deadline. */
  timeout(): number {
    const remaining = this.remaining;
    return remaining === undefined ? 0 : Math.max(1, Math.ceil(remaining));
  }

  /** @internal Makes a stream; it may be used at once, the promise tells whether that was right. */
  createStream<T>(
    options: GeneratedStreamOptions,
    declared: boolean,
    execution: string,
  ): [Stream<T>, Promise<void>] {
    const id = this.newId();
    const created = this.request(
      Operation.createStream,
      (out) => {
        out.u64(this.invocationId);
        out.text(id);
        writeStreamOptions(out, options);
        out.text(this.#parts.instance);
        out.bool(declared);
        out.text(execution);
      },
      nothing,
    );
    return [new Stream<T>(id, { stride: strideOf(options) }), created];
  }

  /**
   * @internal Asks the core for something on behalf of this context. What may take long is given up when the execution
   * is cancelled; the rest, such as a change of the state, is still done then, so that a handler may clean up.
   */
  request<T>(
    operation: number,
    write: (out: Writer) => void,
    read: (reader: Reader) => T,
    long = false,
  ): Promise<T> {
    try {
      return this.begin(operation, write, read, long).answer;
    } catch (error) {
      // What cannot be asked for at all is a rejection like any other.
      return Promise.reject(error);
    }
  }

  /** @internal As `request`, with what it takes to give it up. */
  begin<T>(
    operation: number,
    write: (out: Writer) => void,
    read: (reader: Reader) => T,
    long: boolean,
  ): { answer: Promise<T>; cancel: (reason: unknown) => void } {
    const { invocation, signals } = this.#parts;
    for (const signal of signals) signal.throwIfAborted();
    const waiting = long ? invocation : undefined;
    if (waiting?.cancelled !== undefined) throw cancelledAt(waiting.cancelled);
    const begun = this.port.begin(operation, write, read);
    if (waiting === undefined && signals.length === 0) return begun;
    const { answer, cancel } = begun;
    waiting?.waits(cancel);
    const noMore = signals.map((signal) => giveUpOn(signal, cancel));
    const over = (): void => {
      waiting?.waitsNoMore(cancel);
      for (const forget of noMore) forget();
    };
    answer.then(over, over);
    return begun;
  }
}

/** Arguments; what is undefined at the end is as if it were not there, so that the callee's default holds. */
function writeArguments(out: Writer, args: unknown[]): void {
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count -= 1;
  out.u32(count);
  for (let index = 0; index < count; index += 1) writeValue(out, args[index], `arguments[${index}]`);
}

/** A value behind its length. */
export function writeValue(out: Writer, value: unknown, place: string): void {
  const start = out.length;
  out.u32(0);
  encodeInto(out, value, place);
  out.patch(start, out.length - start - 4);
}
