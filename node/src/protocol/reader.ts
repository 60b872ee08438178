import { results as several } from "../application/results.js";
import { decode } from "../values/decode.js";
import { errorOf, type Failure, type PerperError } from "../errors.js";

const ABSENT = 0xffff_ffff;

/** Reads what the core has packed, in place. */
export class Reader {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  u8(): number {
    return this.buffer[this.at++] as number;
  }

  bool(): boolean {
    return this.u8() !== 0;
  }

  u16(): number {
    this.at += 2;
    return this.buffer.readUInt16LE(this.at - 2);
  }

  u32(): number {
    this.at += 4;
    return this.buffer.readUInt32LE(this.at - 4);
  }

  /** Numbers that count something: none comes near 2^53. */
  u64(): number {
    const low = this.u32();
    return this.u32() * 0x1_0000_0000 + low;
  }

  i64(): bigint {
    this.at += 8;
    return this.buffer.readBigInt64LE(this.at - 8);
  }

  text(): string {
    const length = this.u32();
    this.at += length;
    return length === 0 ? "" : this.buffer.toString("utf8", this.at - length, this.at);
  }

  /** A copy, for what is kept. */
  blob(): Buffer {
    const length = this.u32();
    this.at += length;
    return Buffer.from(this.buffer.subarray(this.at - length, this.at));
  }

  value(): unknown {
    const length = this.u32();
    this.at += length;
    return decode(this.buffer, this.at - length, this.at);
  }

  /** A value that may be absent. */
  optional(): unknown {
    if (this.buffer.readUInt32LE(this.at) !== ABSENT) return this.value();
    this.at += 4;
    return undefined;
  }

  list<T>(read: () => T): T[] {
    const count = this.u32();
    const list = new Array<T>(count);
    for (let index = 0; index < count; index += 1) list[index] = read();
    return list;
  }

  values(): unknown[] {
    const count = this.u32();
    const values = new Array<unknown>(count);
    for (let index = 0; index < count; index += 1) values[index] = this.value();
    return values;
  }

  pairs(): Record<string, string> {
    const pairs: Record<string, string> = {};
    for (let count = this.u32(); count > 0; count -= 1) {
      const name = this.text();
      pairs[name] = this.text();
    }
    return pairs;
  }

  error(): PerperError {
    const number = this.u16();
    const reason = this.text();
    const message = this.text();
    let failure: Failure | undefined;
    if (this.bool()) failure = { type: this.text(), message: this.text(), stack: this.text() };
    return errorOf(number, reason, message, failure, this.pairs());
  }
}

/** Nothing, for answers that say nothing. */
export function nothing(): void {
  // The kind has been read; there is no more.
}

/** Several results are an array, one is itself, none is undefined. */
export function results(reader: Reader): unknown {
  const count = reader.u32();
  if (count === 0) return undefined;
  if (count === 1) return reader.value();
  reader.at -= 4;
  return several(...reader.values());
}
