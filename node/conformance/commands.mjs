// The commands, each by its name. They run in the current context: that of the process, or that of a handler.
import {
  blankStream,
  call,
  callAgent,
  context,
  declareStream,
  dictionary,
  ExecutionFailedError,
  list,
  PerperError,
  RemoteError,
  Results,
  startAgent,
  stopAgent,
  stream,
} from "perper";

import { fromJson, integer, toJson } from "./notation.mjs";

/** A command that makes no sense, or that this peer does not know. */
export class CommandError extends Error {}

const all = (values) => (values ?? []).map(fromJson);

/** Results as they are told: none, one or several. */
function resultsJson(returned) {
  if (returned === undefined) return [];
  return (returned instanceof Results ? [...returned] : [returned]).map(toJson);
}

function streamOptions({ options = {} }) {
  const { persistent, action, packed, first_key: firstKey, backlog } = options;
  return { persistent, action, packed, firstKey, backlog };
}

const declared = new Map();
const listeners = new Map();

function description() {
  const { agent, instance, execution, attempt, remaining, traceparent } = context();
  return {
    agent: agent.agent,
    instance,
    execution: execution === undefined ? null : toJson(execution),
    attempt: attempt ?? null,
    remaining: remaining === undefined ? null : remaining / 1000,
    traceparent: traceparent ?? null,
  };
}

const commands = {
  call: async ({ agent, delegate, arguments: args }) =>
    resultsJson(
      agent === undefined
        ? await call(delegate, ...all(args))
        : await callAgent(fromJson(agent), delegate, ...all(args)),
    ),
  start_agent: async ({ agent, arguments: args }) => {
    const [started, returned] = await startAgent(agent, ...all(args));
    return { agent: toJson(started), results: resultsJson(returned) };
  },
  stop_agent: ({ agent }) => stopAgent(fromJson(agent)),
  context: description,

  start_stream: async (command) =>
    toJson(await stream(command.delegate, streamOptions(command)).start(...all(command.arguments))),
  create_blank_stream: async (command) => toJson(await blankStream(streamOptions(command))),
  declare_stream: async (command) => {
    const made = await declareStream(command.delegate, streamOptions(command));
    declared.set(made.stream.stream, made);
    return toJson(made.stream);
  },
  start_declared: async ({ stream, arguments: args }) => {
    const made = declared.get(fromJson(stream).stream);
    if (made === undefined) throw new CommandError(`${JSON.stringify(stream)} was not declared here`);
    return toJson(await made.start(...all(args)));
  },
  write: async ({ stream, item, key }) => {
    if (key === undefined) return fromJson(stream).write(fromJson(item));
    await fromJson(stream).writeKeyed(integer(key), fromJson(item));
    return integer(key);
  },
  complete: ({ stream, failure }) =>
    failure === undefined ? fromJson(stream).complete() : fromJson(stream).fail(new Error(failure)),
  wait_for_listener: ({ stream }) => fromJson(stream).waitForListener(),
  remove_listener: ({ stream, name }) => fromJson(stream).removeListener(name),
  destroy_stream: ({ stream }) => fromJson(stream).destroy(),
  listen: ({ stream, listener, name, from }) => {
    let of = fromJson(stream);
    if (from === "latest") of = of.latest();
    else if (from === "beginning") of = of.replay();
    else if (from !== undefined && from !== null) of = of.replay(integer(from));
    listeners.set(listener, { entries: of.entries({ name }), detached: false });
  },
  take,
  detach: async ({ listener }) => {
    const found = listeners.get(listener);
    if (found === undefined) return false;
    listeners.delete(listener);
    found.detached = true;
    await found.entries.return();
    return true;
  },

  state: () => toJson(context().state),
  create_dictionary: async ({ name, detached }) => toJson(await dictionary({ name, detached })),
  create_list: async ({ name, detached }) => toJson(await list({ name, detached })),
  dictionary: (command) => {
    const operation = dictionaryOperations[command.operation];
    if (operation === undefined) throw new CommandError(`a dictionary has no operation ${command.operation}`);
    return operation(fromJson(command.dictionary), command);
  },
  list: (command) => {
    const operation = listOperations[command.operation];
    if (operation === undefined) throw new CommandError(`a list has no operation ${command.operation}`);
    return operation(fromJson(command.list), command);
  },
};

async function take({ listener, count }) {
  const found = listeners.get(listener);
  if (found === undefined) throw new CommandError(`there is no listener ${listener}`);
  const keys = [];
  const items = [];
  while (items.length !== count) {
    let step;
    try {
      step = await found.entries.next();
    } catch (error) {
      return { keys, items, end: { error: errorJson(error) } };
    }
    if (step.done) return { keys, items, end: found.detached ? "detached" : "completed" };
    keys.push(step.value[0]);
    items.push(toJson(step.value[1]));
  }
  return { keys, items, end: null };
}

const dictionaryOperations = {
  get: async (of, { key }) => toJson(await of.get(fromJson(key))),
  set: (of, { key, value }) => of.set(fromJson(key), fromJson(value ?? null)),
  set_if_absent: (of, { key, value }) => of.setIfAbsent(fromJson(key), fromJson(value ?? null)),
  replace_if_equal: (of, { key, value, expected }) =>
    of.replaceIfEqual(fromJson(key), fromJson(expected ?? null), fromJson(value ?? null)),
  get_and_replace: async (of, { key, value }) =>
    toJson(await of.getAndReplace(fromJson(key), fromJson(value ?? null))),
  get_and_remove: async (of, { key }) => toJson(await of.getAndRemove(fromJson(key))),
  remove: (of, { key }) => of.remove(fromJson(key)),
  remove_if_equal: (of, { key, expected }) => of.removeIfEqual(fromJson(key), fromJson(expected ?? null)),
  contains: (of, { key }) => of.contains(fromJson(key)),
  count: (of) => of.count(),
  clear: (of) => of.clear(),
  destroy: (of) => of.destroy(),
  entries: async (of) => {
    const entries = [];
    for await (const [key, value] of of) entries.push([toJson(key), toJson(value)]);
    return entries;
  },
  batch: (of, { operations }) => {
    const batch = of.batch();
    for (const { operation, key, value, expected } of operations) {
      const [k, v, e] = [fromJson(key), fromJson(value ?? null), fromJson(expected ?? null)];
      if (operation === "set") batch.set(k, v);
      else if (operation === "set_if_absent") batch.setIfAbsent(k, v);
      else if (operation === "replace_if_equal") batch.replaceIfEqual(k, e, v);
      else if (operation === "remove") batch.remove(k);
      else if (operation === "remove_if_equal") batch.removeIfEqual(k, e);
      else throw new CommandError(`a batch has no operation ${operation}`);
    }
    return batch.apply();
  },
};

const listOperations = {
  add: (of, { value }) => of.add(fromJson(value ?? null)),
  pop: async (of) => toJson(await of.pop()),
  dequeue: async (of) => toJson(await of.dequeue()),
  insert_at: (of, { index, value }) => of.insertAt(index, fromJson(value ?? null)),
  remove_at: async (of, { index }) => toJson(await of.removeAt(index)),
  get_at: async (of, { index }) => toJson(await of.getAt(index)),
  set_at: (of, { index, value }) => of.setAt(index, fromJson(value ?? null)),
  index_of: async (of, { value }) => {
    const index = await of.indexOf(fromJson(value ?? null));
    return index < 0 ? null : index;
  },
  contains: (of, { value }) => of.contains(fromJson(value ?? null)),
  remove: (of, { value }) => of.remove(fromJson(value ?? null)),
  count: (of) => of.count(),
  clear: (of) => of.clear(),
  destroy: (of) => of.destroy(),
  elements: async (of) => {
    const elements = [];
    for await (const element of of) elements.push(toJson(element));
    return elements;
  },
};

/** Executes a command; gives its result as JSON. */
export async function execute(command, named = commands) {
  const run = named[command.do] ?? commands[command.do];
  if (run === undefined) throw new CommandError(`this peer has no command ${command.do}`);
  const { timeout } = command;
  return timeout === undefined
    ? await run(command)
    : await context()
        .withOptions({ timeout: timeout * 1000 })
        .run(run, command);
}

/** What came of a command, as it is told. */
export async function outcome(result) {
  try {
    return { ok: (await result) ?? null };
  } catch (error) {
    return { error: errorJson(error) };
  }
}

function errorJson(error) {
  if (error instanceof ExecutionFailedError && error.cause instanceof RemoteError) {
    return { kind: error.reason, type: error.cause.type, message: error.cause.message };
  }
  if (error instanceof PerperError) return { kind: error.reason, message: error.message };
  if (error?.name === "AbortError")
    return { kind: "CANCELLED", message: "the harness cancelled the command" };
  return { kind: "COMMAND", message: String(error?.stack ?? error) };
}
