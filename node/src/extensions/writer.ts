import { writeValue } from "./context.js";
import type { Stream } from "../model/stream.js";
import type { Connection } from "../protocol/connection.js";
import { Operation } from "../protocol/operations.js";
import type { Port } from "../protocol/port.js";
import { nothing } from "../protocol/reader.js";
import { Writer } from "../values/writer.js";

/** So much may wait here before writers wait, too. */
const ENOUGH_BYTES = 1 << 18;
const ENOUGH_ITEMS = 4096;

/** Items that go together: all with keys, or none. */
interface Chunk {
  keyed: boolean;
  count: number;
  items: Writer;
}

/** Writes items to a stream, many at a time. */
export class StreamWriter<T = unknown> {
  readonly #port: Port;
  readonly #number: number;
  #chunks: Chunk[] = [];
  #inFlight = false;
  /** The buffer of a chunk that has gone, for the next. */
  #spare: Writer | undefined;
  #error: unknown;
  #failed = false;
  #closed = false;
  /** Whoever waits for room, or for everything to be on its way. */
  #waiting: (() => void)[] = [];

  /** @internal */
  constructor(port: Port, invocation: number, stream: string, stride: number) {
    this.#port = port;
    this.#number = port.newNumber();
    port.send(Operation.openWriter, (out) => {
      out.u64(invocation);
      out.u64(this.#number);
      out.text(stream);
      out.u64(stride);
    });
  }

  /** Writes an item, perhaps under a key. Resolves when there is room for more; `flush` tells what became of it. */
  async write(item: T, key?: number | bigint): Promise<void> {
    await this.put(item, key === undefined ? undefined : BigInt(key));
  }

  /** @internal As `write`; undefined where there is room. */
  put(item: unknown, key: bigint | undefined): Promise<void> | undefined {
    if (this.#failed) throw this.#error;
    const keyed = key !== undefined;
    let chunk = this.#chunks.at(-1);
    if (chunk?.keyed !== keyed) {
      chunk = { keyed, count: 0, items: this.#spare ?? new Writer(4096) };
      this.#spare = undefined;
      this.#chunks.push(chunk);
      if (!this.#inFlight) this.#port.pumpLater(this);
    }
    const { items } = chunk;
    const start = items.length;
    try {
      if (keyed) items.i64(key);
      writeValue(items, item, "item");
    } catch (error) {
      items.length = start;
      throw error;
    }
    chunk.count += 1;
    if (chunk.count < ENOUGH_ITEMS && items.length < ENOUGH_BYTES) return undefined;
    if (!this.#inFlight) this.pump();
    return this.#inFlight && this.#chunks.length > 0 ? this.#moved() : undefined;
  }

  /** @internal Sends what there is, unless something is on its way: one batch at a time. */
  pump(): void {
    if (this.#inFlight || this.#failed) return;
    let chunk = this.#chunks.shift();
    // A chunk whose only item could not be encoded.
    while (chunk?.count === 0) chunk = this.#chunks.shift();
    if (chunk === undefined) return;
    this.#inFlight = true;
    void this.#send(chunk);
  }

  async #send({ keyed, count, items }: Chunk): Promise<void> {
    try {
      const written = this.#port.request(
        Operation.writeItems,
        (out) => {
          out.u64(this.#number);
          out.bool(keyed);
          out.u32(count);
          out.raw(items.bytes());
        },
        nothing,
      );
      items.reset();
      this.#spare = items;
      await written;
    } catch (error) {
      this.#fail(error);
    }
    this.#inFlight = false;
    this.pump();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #fail(error: unknown): void {
    this.#failed = true;
    this.#error = error;
    this.#chunks = [];
  }

  async #moved(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failed) throw this.#error;
  }

  /** Waits until everything that was written is in the stream. */
  async flush(): Promise<void> {
    this.pump();
    while (this.#inFlight || this.#chunks.length > 0) await this.#moved();
    if (this.#failed) throw this.#error;
    await this.#port.request(Operation.flushWriter, (out) => out.u64(this.#number), nothing);
  }

  /** Lets go of it, after what was written. */
  async close(): Promise<void> {
    try {
      if (!this.#closed) await this.flush();
    } finally {
      this.release();
    }
  }

  /** @internal Lets go of it as it is. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#port.send(Operation.closeWriter, (out) => out.u64(this.#number));
    } catch {
      // The connection is closed, and every writer with it.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Writers for `stream.writeKeyed`: one for each stream, as long as somebody is writing, so that items keep their order. */
export class SharedWriters {
  readonly #port: Port;
  readonly #open = new Map<string, { writer: StreamWriter; users: number }>();

  constructor(port: Port) {
    this.#port = port;
  }

  async write(stream: Pick<Stream, "stream" | "stride">, key: bigint, item: unknown): Promise<void> {
    let open = this.#open.get(stream.stream);
    if (open === undefined) {
      open = { writer: new StreamWriter(this.#port, 0, stream.stream, stream.stride), users: 0 };
      this.#open.set(stream.stream, open);
    }
    open.users += 1;
    try {
      await open.writer.put(item, key);
      await open.writer.flush();
    } catch (error) {
      // A rejected batch closes its writer: the next one to write gets a new one.
      if (!(error instanceof TypeError) && this.#open.get(stream.stream) === open)
        this.#open.delete(stream.stream);
      throw error;
    } finally {
      open.users -= 1;
      if (open.users === 0) {
        if (this.#open.get(stream.stream) === open) this.#open.delete(stream.stream);
        open.writer.release();
      }
    }
  }
}

export function sharedWriters(connection: Connection): SharedWriters {
  return (connection.writers ??= new SharedWriters(connection.port));
}
