import { context } from "../extensions/ambient.js";
import { writeValue } from "../extensions/context.js";
import { Entries, Items, type ListenOptions } from "../extensions/items.js";
import { sharedWriters, StreamWriter } from "../extensions/writer.js";
import { failureOf } from "../errors.js";
import { Operation } from "../protocol/operations.js";
import { nothing, type Reader } from "../protocol/reader.js";
import { readInfo, readPage, type StreamInfo, type StreamPage } from "../protocol/streams.js";
import { Reference, register, rest, toReference, type ReferenceOptions } from "../values/reference.js";
import type { Writer } from "../values/writer.js";

const TYPE = "perper.Stream";
const KNOWN = ["start", "stride", "localToData"];

/** Where listening to a stream starts if it is to be the first item there is. */
export const BEGINNING = -(2n ** 63n);

/** How a reference to a stream is read. */
export interface StreamReferenceOptions {
  /** The key at which listening starts; undefined for what comes next. */
  start?: bigint;
  /** The distance of two keys of a packed stream; 0 for another. */
  stride?: number;
  /** Only items that are local to this process's server. */
  localToData?: boolean;
  /** What the reference carries beside. */
  options?: ReferenceOptions;
}

/**
 * A stream: `for await (const item of stream)` listens, and leaving the loop stops listening. Asking for the next item
 * says that the last has been processed.
 */
export class Stream<T = unknown> {
  readonly stream: string;
  readonly start: bigint | undefined;
  readonly stride: number;
  readonly localToData: boolean;
  readonly options: ReferenceOptions;

  constructor(stream: string, how: StreamReferenceOptions = {}) {
    this.stream = stream;
    this.start = how.start;
    this.stride = how.stride ?? 0;
    this.localToData = how.localToData ?? false;
    this.options = how.options ?? new Map<string, unknown>();
  }

  /** The same stream, listened to from a key on; without one, from the first item there is. */
  replay(from?: number | bigint): Stream<T> {
    return this.#with({ start: from === undefined ? BEGINNING : BigInt(from) });
  }

  /** The same stream, listened to from what comes next. */
  latest(): Stream<T> {
    return this.#with({ start: undefined });
  }

  /** The same stream, only items that are local to this process's server. */
  local(): Stream<T> {
    return this.#with({ localToData: true });
  }

  #with(change: StreamReferenceOptions): Stream<T> {
    const { start, stride, localToData, options } = this;
    return new Stream<T>(this.stream, { start, stride, localToData, options, ...change });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.items();
  }

  /** The items, with options. Listening begins when the first is asked for. */
  items(options: ListenOptions = {}): Items<T> {
    return new Items<T>(context(), this, options);
  }

  /** The items with their keys. */
  entries(options: ListenOptions = {}): Entries<T> {
    return new Entries<T>(context(), this, options);
  }

  /** Writes an item at the end; gives its key when it is in the stream. */
  write(item: T): Promise<bigint> {
    return context().request(
      Operation.writeItem,
      (out) => {
        out.text(this.stream);
        writeValue(out, item, "item");
      },
      (reader) => reader.i64(),
    );
  }

  /** Writes an item under a key; resolves when it is in the stream. */
  async writeKeyed(key: number | bigint, item: T): Promise<void> {
    await sharedWriters(context().connection).write(this, BigInt(key), item);
  }

  /** For writing much: it does not wait for each item. */
  writer(): StreamWriter<T> {
    return new StreamWriter<T>(context().port, 0, this.stream, this.stride);
  }

  /** Ends the stream: listeners get what is left, and then the end. */
  complete(): Promise<void> {
    return this.#end();
  }

  /** Ends the stream with an error, which listeners get after what is left. */
  fail(error: unknown): Promise<void> {
    return this.#end(error);
  }

  #end(...error: unknown[]): Promise<void> {
    const ambient = context();
    return ambient.request(
      Operation.completeStream,
      (out) => {
        out.u64(ambient.invocationId);
        out.text(this.stream);
        out.bool(error.length > 0);
        if (error.length === 0) return;
        const { type, message, stack } = failureOf(error[0]);
        out.text(type);
        out.text(message);
        out.text(stack);
      },
      nothing,
    );
  }

  /** Some of the items that there are, without listening: from a key on, or from the first. */
  read(from?: number | bigint, limit = 0): Promise<StreamPage<T>> {
    return this.#ask(Operation.readItems, readPage<T>, (out) => {
      out.bool(from !== undefined);
      out.i64(BigInt(from ?? 0));
      out.u32(limit);
    });
  }

  /** What the Fabric knows of it. */
  info(): Promise<StreamInfo> {
    return this.#ask(Operation.getStream, readInfo);
  }

  /** Waits until somebody listens. */
  waitForListener(): Promise<void> {
    return this.#ask(Operation.waitForListener, nothing, undefined, true);
  }

  /** Removes a listener that has a name, with what it has processed. */
  removeListener(name: string): Promise<void> {
    return this.#ask(Operation.removeListener, nothing, (out) => out.text(name));
  }

  /** Removes the stream and all that is in it. */
  destroy(): Promise<void> {
    return this.#ask(Operation.destroyStream, nothing);
  }

  #ask<R>(
    operation: number,
    read: (reader: Reader) => R,
    write?: (out: Writer) => void,
    long = false,
  ): Promise<R> {
    const ambient = context();
    return ambient.request(
      operation,
      (out) => {
        out.u64(ambient.invocationId);
        out.text(this.stream);
        write?.(out);
      },
      read,
      long,
    );
  }

  [toReference](): Reference {
    const options = rest(this.options, ...KNOWN);
    if (this.start !== undefined) options.set("start", this.start);
    if (this.stride !== 0) options.set("stride", this.stride);
    if (this.localToData) options.set("localToData", true);
    return new Reference(TYPE, this.stream, options);
  }
}

register(TYPE, (reference) => {
  const { id, options } = reference;
  const start = options.get("start");
  const stride = options.get("stride") ?? 0;
  const localToData = options.get("localToData") ?? false;
  const isKey = start === undefined || typeof start === "bigint" || Number.isSafeInteger(start);
  // Not as it should be: handed on as it is.
  if (!isKey || !Number.isSafeInteger(stride) || typeof localToData !== "boolean") return reference;
  return new Stream(id, {
    start: start === undefined ? undefined : BigInt(start as number | bigint),
    stride: stride as number,
    localToData,
    options: rest(options, ...KNOWN),
  });
});
