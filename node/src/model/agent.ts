import { context } from "../extensions/ambient.js";
import type { GeneratorOptions } from "../extensions/options.js";
import { Handlers, type Handler, type StreamHandler } from "../application/handlers.js";
import { start, type RunningAgent, type RunOptions } from "../application/running.js";
import { Reference, register, rest, toReference, type ReferenceOptions } from "../values/reference.js";

const TYPE = "perper.Agent";

/**
 * An agent, or one instance of it: as a reference, to be called and sent; and as the description of a process that
 * serves it, to be given handlers and run.
 */
export class Agent {
  readonly agent: string;
  /** The instance; empty for the agent as a whole. */
  readonly instance: string;
  /** What the reference carries beside. */
  readonly options: ReferenceOptions;
  #handlers: Handlers | undefined;

  constructor(agent = "", instance = "", options: ReferenceOptions = new Map()) {
    this.agent = agent;
    this.instance = instance;
    this.options = options;
  }

  /** Calls a delegate of it. */
  call<R = unknown>(delegate: string, ...args: unknown[]): Promise<R> {
    return context().callAgent<R>(this, delegate, ...args);
  }

  /** Stops the instance; tells whether it was there. */
  stop(options: { force?: boolean } = {}): Promise<boolean> {
    return context().stopAgent(this, options);
  }

  /**
   * Declares the handler of a delegate: its parameters are the call's arguments, what it returns, or resolves to, is
   * the result. An async generator function is a stream handler, as if declared by `stream`.
   */
  delegate(delegate: string, handler: Handler): this {
    this.#described().delegate(delegate, handler);
    return this;
  }

  /**
   * Declares a delegate whose handler is a generator: started as a stream, it fills that stream; called, it gives a new
   * one, made by these options.
   */
  stream(delegate: string, handler: StreamHandler, options: GeneratorOptions = {}): this {
    this.#described().stream(delegate, handler, options);
    return this;
  }

  /** Runs once in each process, beside everything else. A failure is logged. */
  onDeploy(handler: () => unknown): this {
    this.#described().deploy = handler;
    return this;
  }

  /** Runs for each instance in each process, before `onEnter`: brings what a former version has left up to date. */
  onUpgrade(handler: () => unknown): this {
    this.#described().upgrade = handler;
    return this;
  }

  /** Runs when an instance enters a process, before the first call of it there. When it fails, so do they. */
  onEnter(handler: () => unknown): this {
    this.#described().enter = handler;
    return this;
  }

  /** Runs when an instance is started, with the arguments of `startAgent`, which gives what it returns. */
  onStart(handler: Handler): this {
    return this.delegate("Start", handler);
  }

  /** Runs when an instance is stopped. */
  onStop(handler: Handler): this {
    return this.delegate("Stop", handler);
  }

  /** Connects, and serves in the background. */
  start(options: RunOptions = {}): Promise<RunningAgent> {
    return start(this.agent, this.#described(), options);
  }

  /**
   * Connects, and serves until the process is told to stop (SIGTERM or ctrl-c) or `signal` is aborted. What is in
   * flight then is finished within the grace; what is not by then is given to other workers.
   */
  async run(options: RunOptions = {}): Promise<void> {
    const running = await this.start({ signals: true, ...options });
    await running.ended;
  }

  #described(): Handlers {
    return (this.#handlers ??= new Handlers());
  }

  [toReference](): Reference {
    const options = rest(this.options, "instance");
    if (this.instance !== "") options.set("instance", this.instance);
    return new Reference(TYPE, this.agent, options);
  }
}

register(TYPE, (reference) => {
  const instance = reference.options.get("instance") ?? "";
  // Not as it should be: handed on as it is.
  if (typeof instance !== "string") return reference;
  return new Agent(reference.id, instance, rest(reference.options, "instance"));
});
