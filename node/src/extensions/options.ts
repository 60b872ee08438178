import { InvalidArgumentError } from "../errors.js";
import type { GeneratorSettings } from "../native.js";
import type { Writer } from "../values/writer.js";

/** How a stream is made. */
export interface StreamOptions {
  /** Keeps its items, so that they can be read again. Otherwise they go when all listeners have processed them. */
  persistent?: boolean;
  /**
   * Keys are `firstKey + n · stride`, and may be written in any order. `true` is a stride of 1. Otherwise keys only
   * have to increase, and are given by the Fabric where they are not by the writer.
   */
  packed?: boolean | number;
  /** The first key of a packed stream. */
  firstKey?: number;
  /** Members of the items to index. */
  indexed?: string[];
  /** How many items without a listener are kept at most; past it, writers are refused. */
  backlog?: number;
}

/** How a stream with a generator is made. */
export interface GeneratedStreamOptions extends StreamOptions {
  /** The generator runs at once, whether anybody listens or not. */
  action?: boolean;
}

/** How the streams of a delegate are made, and how its generator is taken up again. */
export interface GeneratorOptions extends GeneratedStreamOptions {
  /**
   * What becomes of the items that a generator yields again after its worker was lost: written `again` (at least once;
   * items with keys are not doubled), or `skip`ped, for generators that yield the same every time.
   */
  resume?: "again" | "skip";
}

function whole(name: string, value: number | undefined, least: number): number {
  if (value === undefined) return 0;
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgumentError(`${name} is ${value}; use an integer of ${least} or more`);
}

export function strideOf(options: StreamOptions): number {
  if (options.packed === undefined || typeof options.packed === "boolean") return options.packed ? 1 : 0;
  return whole("packed", options.packed, 1);
}

export function writeStreamOptions(out: Writer, options: GeneratedStreamOptions): void {
  out.bool(options.persistent ?? false);
  out.bool(options.action ?? false);
  out.u64(strideOf(options));
  out.i64(BigInt(whole("firstKey", options.firstKey, Number.MIN_SAFE_INTEGER)));
  out.u64(whole("backlog", options.backlog, 0));
  const indexed = options.indexed ?? [];
  out.u32(indexed.length);
  for (const member of indexed) out.text(member);
}

export function generatorSettings(options: GeneratorOptions): GeneratorSettings {
  return {
    persistent: options.persistent,
    action: options.action,
    stride: strideOf(options),
    firstKey: whole("firstKey", options.firstKey, Number.MIN_SAFE_INTEGER),
    backlog: whole("backlog", options.backlog, 0),
    indexed: options.indexed,
    skip: options.resume === "skip",
  };
}

/** What holds for what is asked through a context. */
export interface CallOptions {
  /** Milliseconds until whatever is called must be done, wherever it runs. A handler's own deadline wins if earlier. */
  timeout?: number;
  /** Gives up what is waited for; a call is cancelled with it. */
  signal?: AbortSignal;
}

/** The earlier of two moments, either of which may not be. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined) return other;
  return other === undefined ? one : Math.min(one, other);
}

export function checkTimeout(timeout: number | undefined): void {
  if (timeout === undefined || (typeof timeout === "number" && timeout > 0)) return;
  throw new InvalidArgumentError(`the timeout is ${String(timeout)}; use a number of milliseconds above 0`);
}
