import type { Context } from "./context.js";
import type { Stream } from "../model/stream.js";
import { Operation } from "../protocol/operations.js";
import { nothing, type Reader } from "../protocol/reader.js";
import { Batch } from "../protocol/streams.js";

/** How to listen. */
export interface ListenOptions {
  /**
   * A listener with a name is kept when it stops listening, and goes on where it was when it listens again, in whatever
   * process. It goes with the instance, or by `removeListener`.
   */
  name?: string;
  /** How many items are sent ahead at most. */
  window?: number;
  /** How many bytes of them. */
  windowBytes?: number;
}

const MINIMUM = -(2n ** 63n);

function batchOrEnd(reader: Reader): Batch | undefined {
  // The kind of the answer stands before what it is: 4 for items, 5 for the end.
  return reader.buffer[reader.at - 1] === 4 ? new Batch(reader) : undefined;
}

/** A listener: items come in batches, and are handed out one by one. */
abstract class Listener<T, R> implements AsyncIterableIterator<R> {
  readonly #context: Context;
  readonly #stream: Stream<T>;
  readonly #options: ListenOptions;
  #number = 0;
  #batch: Batch | undefined;
  #fetching: Promise<void> | undefined;
  #giveUp: ((reason: unknown) => void) | undefined;
  #done = false;
  /** Through here everything is processed, and the core has not been told yet. */
  #processed: bigint | undefined;

  constructor(context: Context, stream: Stream<T>, options: ListenOptions) {
    this.#context = context;
    this.#stream = stream;
    this.#options = options;
  }

  protected abstract result(batch: Batch, item: T): R;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next one; asking says that the last has been processed. */
  next(): Promise<IteratorResult<R, undefined>> {
    const batch = this.#batch;
    if (batch !== undefined && !batch.isEmpty && !this.#done) {
      try {
        return Promise.resolve({ done: false, value: this.#take(batch) });
      } catch (error) {
        this.#detach();
        return Promise.reject(error);
      }
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    // One asks; whoever asks meanwhile waits for the same, and then in turn.
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching.then(() => this.next());
  }

  #take(batch: Batch): R {
    // What came before is processed now; the core hears of it once per turn, however many those were.
    if (batch.taken > 0) {
      if (this.#processed === undefined) this.#context.port.pumpLater(this);
      this.#processed = batch.key();
    }
    const item = batch.take() as T;
    return this.result(batch, item);
  }

  /** @internal */
  pump(): void {
    const key = this.#processed;
    this.#processed = undefined;
    if (key === undefined || this.#number === 0 || this.#done) return;
    this.#context.port.send(Operation.processed, (out) => {
      out.u64(this.#number);
      out.i64(key);
    });
  }

  async #fetch(): Promise<void> {
    this.#processed = undefined;
    try {
      if (this.#number === 0) await this.#attach();
      if (this.#done) return;
      const next = this.#context.begin(Operation.nextItems, (out) => out.u64(this.#number), batchOrEnd, true);
      this.#giveUp = next.cancel;
      const batch = await next.answer;
      this.#giveUp = undefined;
      this.#batch = batch;
      if (batch === undefined) this.#detach();
    } catch (error) {
      // Left while it waited: the end, for whoever asked.
      if (this.#done) return;
      this.#giveUp = undefined;
      this.#detach();
      throw error;
    }
  }

  /** The core keeps one that waits for a listener: first for this, then for items. */
  async #attach(): Promise<void> {
    const context = this.#context;
    const stream = this.#stream;
    this.#number = context.port.newNumber();
    const { start } = stream;
    await context.request(
      Operation.attachListener,
      (out) => {
        out.u64(this.#number);
        out.text(stream.stream);
        out.text(this.#options.name ?? "");
        out.text(context.instance);
        out.u8(start === undefined ? 0 : start === MINIMUM ? 1 : 2);
        out.i64(start ?? 0n);
        out.u64(this.#options.window ?? 0);
        out.u64(this.#options.windowBytes ?? 0);
        out.bool(stream.localToData);
      },
      nothing,
      true,
    );
  }

  #detach(): void {
    if (this.#done) return;
    this.pump();
    this.#done = true;
    this.#batch = undefined;
    if (this.#number === 0) return;
    this.#giveUp?.(undefined);
    try {
      this.#context.port.send(Operation.detachListener, (out) => out.u64(this.#number));
    } catch {
      // The connection is closed, and every listener with it.
    }
  }

  /** Stops listening, without waiting. What came last stays unprocessed. */
  return(): Promise<IteratorResult<R, undefined>> {
    this.#detach();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** The items of a stream. */
export class Items<T> extends Listener<T, T> {
  protected override result(_: Batch, item: T): T {
    return item;
  }
}

/** The items of a stream with their keys. */
export class Entries<T> extends Listener<T, [key: bigint, item: T]> {
  protected override result(batch: Batch, item: T): [key: bigint, item: T] {
    return [batch.key(), item];
  }
}
