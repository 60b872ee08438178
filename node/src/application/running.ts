import { readActivation, type Activation } from "./activation.js";
import { generate, stepsOf } from "./generator.js";
import type { Handlers } from "./handlers.js";
import { resultsOf } from "./results.js";
import { onStop } from "./signals.js";
import { ambient } from "../extensions/ambient.js";
import { Context, writeValue } from "../extensions/context.js";
import { Invocation } from "../extensions/invocation.js";
import {
  CancelledError,
  errorOf,
  failureOf,
  InvalidArgumentError,
  unlessRefused,
  type PerperError,
} from "../errors.js";
import { Connection, type ConnectOptions } from "../protocol/connection.js";
import { hold, letGo } from "../protocol/keep-alive.js";
import { Operation } from "../protocol/operations.js";
import type { Reader } from "../protocol/reader.js";

/** How an agent process works. */
export interface RunOptions extends ConnectOptions {
  /** Aborting it stops the agent, as SIGTERM does. */
  signal?: AbortSignal;
  /** Whether SIGTERM and ctrl-c stop the agent: so in `run`, not in `start`. */
  signals?: boolean;
  /** The only instance to serve; by default the one that the scaler named, or all. */
  instance?: string;
  /**
   * How many executions are worked on at once; 1,024 unless said otherwise. Generators do not count, nor do handlers
   * while they wait for a call.
   */
  concurrency?: number;
  /** How many bytes of executions are held at once. */
  bytes?: number;
  /** Each work group gets every execution; the processes of one share them. */
  workGroup?: string;
  /** Milliseconds that stopping waits for what is in flight; 30,000 unless said otherwise. */
  grace?: number;
}

const GRACE = 30_000;

/** Kinds of records that are no answers. */
const ACTIVATION = 1;
const CANCELLATION = 2;
const SHUTDOWN = 4;

/** An agent that runs in the background. */
export class RunningAgent {
  /** A context in the agent's own implicit instance, for code beside the handlers. */
  readonly context: Context;
  /** Resolves when the agent has ended; rejected if that was because the connection could not be kept. */
  readonly ended: Promise<void>;
  readonly #stop: () => void;

  /** @internal */
  constructor(context: Context, ended: Promise<void>, stop: () => void) {
    this.context = context;
    this.ended = ended;
    this.#stop = stop;
  }

  /** Takes no more calls, finishes what is in flight within the grace, gives back the rest, closes the connection. */
  async stop(): Promise<void> {
    this.#stop();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Connects, and serves. */
export async function start(agent: string, handlers: Handlers, options: RunOptions): Promise<RunningAgent> {
  const { signal, signals, instance, concurrency, bytes, workGroup, grace, ...connect } = options;
  signal?.throwIfAborted();
  const server = new Server(handlers);
  const connection = await Connection.open(connect, {
    listening: server,
    open: (native, wake) => {
      const port = native.serve(
        {
          agent,
          instance,
          delegates: [...handlers.delegates.keys()],
          streams: handlers.streams,
          deploy: handlers.deploy !== undefined,
          upgrade: handlers.upgrade !== undefined,
          enter: handlers.enter !== undefined,
          concurrency,
          bytes,
          workGroup,
        },
        wake,
      );
      return unlessRefused(port);
    },
  });
  const name = agent === "" ? connection.native.agent : agent;
  return server.run(connection, name, { signal, signals, grace });
}

/** The loop: what the core hands out is called, what came of it is told. */
class Server {
  readonly #handlers: Handlers;
  readonly #invocations = new Map<number, Invocation>();
  #connection: Connection | undefined;
  #over!: (error: PerperError | undefined) => void;
  readonly #shutdown = new Promise<PerperError | undefined>((resolve) => (this.#over = resolve));

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  run(
    connection: Connection,
    agent: string,
    options: Pick<RunOptions, "signal" | "signals" | "grace">,
  ): RunningAgent {
    this.#connection = connection;
    const parts = {
      connection,
      agent,
      instance: `${agent}-deploy`,
      invocation: undefined,
      deadline: undefined,
    };
    const context = new Context({ ...parts, signals: [] });
    ambient.running.push(context);
    hold();
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      if (timer !== undefined) return;
      timer = setTimeout(() => this.#send(Operation.releaseAll), options.grace ?? GRACE);
      this.#send(Operation.stop);
    };
    const off = options.signals ? onStop(stop) : undefined;
    options.signal?.addEventListener("abort", stop, { once: true });
    const ended = this.#shutdown.then(async (error) => {
      clearTimeout(timer);
      off?.();
      options.signal?.removeEventListener("abort", stop);
      ambient.running.splice(ambient.running.indexOf(context), 1);
      letGo();
      await connection.close();
      if (error !== undefined) throw error;
    });
    // Whoever is interested waits for it; nobody has to.
    ended.catch(() => undefined);
    if (options.signal?.aborted) stop();
    return new RunningAgent(context, ended, stop);
  }

  /** Told by the port. */
  event(kind: number, reader: Reader): void {
    switch (kind) {
      case ACTIVATION:
        this.#activate(reader);
        break;
      case CANCELLATION: {
        const id = reader.u64();
        const invocation = this.#invocations.get(id);
        this.#invocations.delete(id);
        invocation?.cancel(cancellation(reader.u16()));
        break;
      }
      case SHUTDOWN:
        this.#over(reader.bool() ? reader.error() : undefined);
        break;
      default:
        // Of a later version of the core; there is none without a binding of its version.
        break;
    }
  }

  #activate(reader: Reader): void {
    const activation = readActivation(reader);
    const { id, agent, instance, remaining } = activation;
    const invocation = new Invocation(activation);
    this.#invocations.set(id, invocation);
    const context = new Context({
      connection: this.#connection as Connection,
      agent,
      instance,
      invocation,
      deadline: remaining === 0 ? undefined : performance.now() + remaining,
      signals: [],
    });
    let args: unknown[];
    try {
      args = reader.values();
    } catch (error) {
      this.#fail(invocation, error);
      return;
    }
    // Each handler has a context of its own, with whatever it awaits.
    void ambient.current.run(context, () => this.#invoke(activation, invocation, args));
  }

  async #invoke(activation: Activation, invocation: Invocation, args: unknown[]): Promise<void> {
    try {
      const handler = this.#handler(activation);
      let returned = await handler(...args);
      const { linked } = activation;
      // Only what was declared to yield does: a plain function, started as a stream, ends it by returning.
      const yields = linked !== undefined && Object.hasOwn(this.#handlers.streams, activation.delegate);
      const steps = yields ? stepsOf(returned) : undefined;
      if (steps !== undefined && linked !== undefined) {
        await generate(steps, linked, invocation, (this.#connection as Connection).port);
        returned = undefined;
      }
      // What a started stream's handler returns without yielding ends the stream.
      this.#complete(invocation, linked === undefined ? resultsOf(returned) : []);
    } catch (error) {
      this.#fail(invocation, error);
    }
  }

  #handler(activation: Activation): (...args: unknown[]) => unknown {
    const { deploy, upgrade, enter, delegates } = this.#handlers;
    const handler = [delegates.get(activation.delegate), deploy, upgrade, enter][activation.what];
    if (handler !== undefined) return handler;
    throw new InvalidArgumentError(
      `agent ${activation.agent} has no delegate ${JSON.stringify(activation.delegate)}`,
    );
  }

  #complete(invocation: Invocation, results: readonly unknown[]): void {
    if (!this.#end(invocation)) return;
    this.#send(Operation.complete, (out) => {
      out.u64(invocation.id);
      out.u32(results.length);
      results.forEach((result, index) => {
        writeValue(out, result, results.length === 1 ? "result" : `results[${index}]`);
      });
    });
  }

  #fail(invocation: Invocation, error: unknown): void {
    if (invocation.cancelled !== undefined) {
      this.#end(invocation);
      return;
    }
    const { type, message, stack } = failureOf(error);
    this.#end(invocation);
    try {
      this.#send(Operation.fail, (out) => {
        out.u64(invocation.id);
        out.text(type);
        out.text(message);
        out.text(stack);
      });
    } catch {
      // The connection is closed: another worker has the execution by now.
    }
  }

  /** Notes that a handler has an outcome; tells whether anybody is interested in it. */
  #end(invocation: Invocation): boolean {
    invocation.ended = true;
    this.#invocations.delete(invocation.id);
    return invocation.cancelled === undefined;
  }

  #send(operation: number, write: Parameters<Connection["port"]["send"]>[1] = () => undefined): void {
    this.#connection?.port.send(operation, write);
  }
}

/**
 * Why the core takes an invocation back. Of a class of its own, so that it cannot be mistaken for the cancellation of
 * something that the handler had called.
 */
function cancellation(code: number): CancelledError {
  const { code: kind } = errorOf(code, "", "");
  const cause = errorOf(code, kind, `the execution is no longer this worker's (${kind})`);
  return new CancelledError(`this execution was cancelled while its handler ran (${kind})`, { cause });
}
