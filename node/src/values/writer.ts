/**
 * Bytes in the making: the records of a batch and the values in them, in one buffer that is used again and again.
 */
export class Writer {
  buffer: Buffer;
  length = 0;

  constructor(capacity = 4096) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for that many bytes more. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed > this.buffer.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  /** What has been written, in place: good until the next write. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** Begins anew, without the memory of an uncommonly large past. */
  reset(): void {
    this.length = 0;
    if (this.buffer.length > 4 << 20) this.buffer = Buffer.allocUnsafeSlow(65536);
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  u32(value: number): void {
    this.reserve(4);
    this.patch(this.length, value);
    this.length += 4;
  }

  /** Writes a u32 over what stands there. */
  patch(at: number, value: number): void {
    const { buffer } = this;
    buffer[at] = value;
    buffer[at + 1] = value >>> 8;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 24;
  }

  /** A number that is a safe integer and not negative, in 64 bits. */
  u64(value: number): void {
    this.u32(value >>> 0);
    this.u32(Math.floor(value / 0x1_0000_0000));
  }

  i64(value: bigint): void {
    this.reserve(8);
    this.length = this.buffer.writeBigInt64LE(value, this.length);
  }

  text(text: string): void {
    const start = this.length;
    this.u32(0);
    this.reserve(text.length * 3);
    this.length += this.buffer.write(text, this.length, "utf8");
    this.patch(start, this.length - start - 4);
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  blob(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }
}
