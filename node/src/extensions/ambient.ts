import { AsyncLocalStorage } from "node:async_hooks";

import { InvalidSettingsError } from "../errors.js";
import type { Context } from "./context.js";

/** What the process knows of contexts. */
interface Ambient {
  current: AsyncLocalStorage<Context>;
  /** Set by `connect`. */
  connected: Context | undefined;
  /** Of each agent that runs here. */
  running: Context[];
}

/**
 * One for all copies of this package in an event loop: the ESM and the CommonJS entry point, and a second installation
 * in some dependency's folder.
 */
const KEY = Symbol.for("perper.ambient.1");

const holder = globalThis as unknown as Record<symbol, Ambient | undefined>;

export const ambient: Ambient = (holder[KEY] ??= {
  current: new AsyncLocalStorage<Context>(),
  connected: undefined,
  running: [],
});

/**
 * The context of this code: the handler's that it runs for, else what `connect` made, else that of the one agent that
 * runs in this process.
 */
export function context(): Context {
  const found = tryContext();
  if (found !== undefined) return found;
  throw new InvalidSettingsError(
    ambient.running.length === 0
      ? "there is no context here: call this from a handler, or after `await connect()`"
      : "there is no context here, and this process runs several agents, so that none of them is the default: " +
          "use `agent.context.run(…)` of the one that is meant",
  );
}

/** As `context`, with `undefined` where there is none. */
export function tryContext(): Context | undefined {
  return (
    ambient.current.getStore() ??
    ambient.connected ??
    (ambient.running.length === 1 ? ambient.running[0] : undefined)
  );
}
