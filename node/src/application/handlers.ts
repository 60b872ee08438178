import { InvalidArgumentError, InvalidSettingsError } from "../errors.js";
import { generatorSettings, type GeneratorOptions } from "../extensions/options.js";
import type { GeneratorSettings } from "../native.js";

// Whatever a function takes and gives: each handler says so itself.
/* eslint-disable @typescript-eslint/no-explicit-any */

/** The handler of a delegate. */
export type Handler = (...args: any[]) => unknown;

/** A handler that yields the items of a stream. */
export type StreamHandler = (
  ...args: any[]
) => AsyncIterable<unknown> | Iterable<unknown> | Promise<AsyncIterable<unknown> | Iterable<unknown>>;

/* eslint-enable @typescript-eslint/no-explicit-any */

// eslint-disable-next-line @typescript-eslint/no-empty-function
const AsyncGeneratorFunction = async function* () {}.constructor;

/** Everything that an author has written for an agent. */
export class Handlers {
  readonly delegates = new Map<string, Handler>();
  readonly streams: Record<string, GeneratorSettings> = {};
  deploy: (() => unknown) | undefined;
  upgrade: (() => unknown) | undefined;
  enter: (() => unknown) | undefined;

  delegate(delegate: string, handler: Handler): void {
    if (typeof handler !== "function") {
      throw new InvalidArgumentError(`the handler of ${JSON.stringify(delegate)} is no function`);
    }
    if (this.delegates.has(delegate)) {
      throw new InvalidSettingsError(
        `there are two handlers for the delegate ${JSON.stringify(delegate)}; remove one`,
      );
    }
    this.delegates.set(delegate, handler);
    if (handler instanceof AsyncGeneratorFunction) this.streams[delegate] ??= {};
  }

  stream(delegate: string, handler: StreamHandler, options: GeneratorOptions): void {
    const settings = generatorSettings(options);
    this.delegate(delegate, handler as Handler);
    this.streams[delegate] = settings;
  }
}
