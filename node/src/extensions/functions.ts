import { ambient, context } from "./ambient.js";
import { Context, type DeclaredStream, type StateOptions, type StreamBuilder } from "./context.js";
import type { CallOptions, GeneratedStreamOptions, StreamOptions } from "./options.js";
import type { Agent } from "../model/agent.js";
import type { Dictionary } from "../model/dictionary.js";
import type { List } from "../model/list.js";
import type { Stream } from "../model/stream.js";
import { Connection, type ConnectOptions } from "../protocol/connection.js";

/** Connects a program that is no agent. The context is the default for everything in the process from then on. */
export async function connect(options: ConnectOptions = {}): Promise<Context> {
  const connection = await Connection.open(options);
  const { agent, instance } = connection.native;
  const connected = new Context({
    connection,
    agent,
    instance,
    invocation: undefined,
    deadline: undefined,
    signals: [],
  });
  ambient.connected = connected;
  return connected;
}

/** Calls a delegate of the current instance. */
export function call<R = unknown>(delegate: string, ...args: unknown[]): Promise<R> {
  return here((context) => context.call<R>(delegate, ...args));
}

/** Calls a delegate of an agent: of one instance, or of the agent as a whole. */
export function callAgent<R = unknown>(
  agent: Agent | string,
  delegate: string,
  ...args: unknown[]
): Promise<R> {
  return here((context) => context.callAgent<R>(agent, delegate, ...args));
}

/** Starts an instance of an agent, and gives it with what its `Start` returned. */
export function startAgent<R = unknown>(agent: string, ...args: unknown[]): Promise<[Agent, R]> {
  return here((context) => context.startAgent<R>(agent, ...args));
}

/** Stops an instance; tells whether it was there. */
export function stopAgent(agent: Agent, options?: { force?: boolean }): Promise<boolean> {
  return here((context) => context.stopAgent(agent, options));
}

/** A stream whose items a delegate of the current instance will yield: `await stream("Numbers").start(10)`. */
export function stream<T = unknown>(delegate: string, options?: GeneratedStreamOptions): StreamBuilder<T> {
  return context().stream<T>(delegate, options);
}

/** A stream without a generator, to write to. */
export function blankStream<T = unknown>(options?: StreamOptions): Promise<Stream<T>> {
  return here((context) => context.blankStream<T>(options));
}

/** A stream that is known before it is started. */
export function declareStream<T = unknown>(
  delegate: string,
  options?: GeneratedStreamOptions,
): Promise<DeclaredStream<T>> {
  return here((context) => context.stream<T>(delegate, options).declare());
}

/** A new dictionary, or the one of that name. */
export function dictionary(options?: StateOptions): Promise<Dictionary> {
  return here((context) => context.dictionary(options));
}

/** A new list, or the one of that name. */
export function list(options?: StateOptions): Promise<List> {
  return here((context) => context.list(options));
}

/** The current context with a deadline, or with a signal: `withOptions({ timeout: 500 }).call("Add", 1, 2)`. */
export function withOptions(options: CallOptions): Context {
  return context().withOptions(options);
}

/** Without a context, a function that gives a promise gives a rejected one. */
async function here<R>(ask: (context: Context) => Promise<R>): Promise<R> {
  return await ask(context());
}

/** The state of the current instance: the dictionary that it has of its own. */
export const state = {
  /** The dictionary itself, to be handed on. */
  get dictionary(): Dictionary {
    return context().state;
  },
  get: <T = unknown>(key: unknown): Promise<T | undefined> => here((context) => context.state.get<T>(key)),
  set: (key: unknown, value: unknown): Promise<void> => here((context) => context.state.set(key, value)),
  setIfAbsent: (key: unknown, value: unknown): Promise<boolean> =>
    here((context) => context.state.setIfAbsent(key, value)),
  replaceIfEqual: (key: unknown, expected: unknown, value: unknown): Promise<boolean> =>
    here((context) => context.state.replaceIfEqual(key, expected, value)),
  getAndReplace: <T = unknown>(key: unknown, value: unknown): Promise<T | undefined> =>
    here((context) => context.state.getAndReplace<T>(key, value)),
  getAndRemove: <T = unknown>(key: unknown): Promise<T | undefined> =>
    here((context) => context.state.getAndRemove<T>(key)),
  remove: (key: unknown): Promise<boolean> => here((context) => context.state.remove(key)),
  removeIfEqual: (key: unknown, expected: unknown): Promise<boolean> =>
    here((context) => context.state.removeIfEqual(key, expected)),
  contains: (key: unknown): Promise<boolean> => here((context) => context.state.contains(key)),
  count: (): Promise<number> => here((context) => context.state.count()),
  clear: (): Promise<void> => here((context) => context.state.clear()),
  batch: (): ReturnType<Dictionary["batch"]> => context().state.batch(),
  entries: (): ReturnType<Dictionary["entries"]> => context().state.entries(),
  keys: (): ReturnType<Dictionary["keys"]> => context().state.keys(),
} as const;
