import type { PerperError } from "../errors.js";
import { decode } from "../values/decode.js";
import type { Reader } from "./reader.js";

/** How a stream ended. */
export interface StreamEnd {
  /** Gaps of a packed stream that were never filled. */
  skipped: number;
  error: PerperError | undefined;
}

/** Items that a stream has. */
export interface StreamPage<T = unknown> {
  entries: [key: bigint, item: T][];
  /** Set if the stream has ended and this is all of it. */
  end: StreamEnd | undefined;
}

/** What the Fabric knows of a stream. */
export interface StreamInfo {
  stream: string;
  persistent: boolean;
  action: boolean;
  stride: number;
  firstKeyOption: bigint;
  backlog: number;
  indexed: string[];
  owner: string;
  declared: boolean;
  execution: string;
  firstKey: bigint | undefined;
  lastKey: bigint | undefined;
  itemsKept: number;
  itemsWritten: number;
  bytesKept: number;
  listeners: number;
  /** Whether anybody has ever listened. */
  listened: boolean;
  end: StreamEnd | undefined;
}

/** Items as they came: keys and values stay packed until they are asked for. */
export class Batch {
  readonly count: number;
  readonly #buffer: Buffer;
  readonly #keys: number;
  #at: number;
  #index = 0;

  constructor(reader: Reader) {
    this.count = reader.u32();
    this.#buffer = reader.buffer;
    this.#keys = reader.at;
    reader.at += this.count * 8;
    const length = reader.u32();
    this.#at = reader.at;
    reader.at += length;
  }

  get isEmpty(): boolean {
    return this.#index === this.count;
  }

  /** The next item. */
  take(): unknown {
    const buffer = this.#buffer;
    let at = this.#at;
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = buffer[at++] as number;
      length += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte >= 0x80);
    this.#at = at + length;
    this.#index += 1;
    return decode(buffer, at, at + length);
  }

  /** The key of the item that was taken last, or of one that many before it. */
  key(before = 0): bigint {
    return this.#buffer.readBigInt64LE(this.#keys + (this.#index - 1 - before) * 8);
  }

  /** How many have been taken. */
  get taken(): number {
    return this.#index;
  }
}

function readEnd(reader: Reader): StreamEnd | undefined {
  if (!reader.bool()) return undefined;
  return { skipped: reader.u64(), error: reader.bool() ? reader.error() : undefined };
}

export function readPage<T>(reader: Reader): StreamPage<T> {
  const entries: [bigint, T][] = [];
  for (let batches = reader.u32(); batches > 0; batches -= 1) {
    const batch = new Batch(reader);
    while (!batch.isEmpty) {
      const item = batch.take() as T;
      entries.push([batch.key(), item]);
    }
  }
  return { entries, end: readEnd(reader) };
}

export function readInfo(reader: Reader): StreamInfo {
  const key = (): bigint | undefined => {
    const there = reader.bool();
    const key = reader.i64();
    return there ? key : undefined;
  };
  return {
    stream: reader.text(),
    persistent: reader.bool(),
    action: reader.bool(),
    stride: reader.u64(),
    firstKeyOption: reader.i64(),
    backlog: reader.u64(),
    indexed: reader.list(() => reader.text()),
    owner: reader.text(),
    declared: reader.bool(),
    execution: reader.text(),
    firstKey: key(),
    lastKey: key(),
    itemsKept: reader.u64(),
    itemsWritten: reader.u64(),
    bytesKept: reader.u64(),
    listeners: reader.u32(),
    listened: reader.bool(),
    end: readEnd(reader),
  };
}
