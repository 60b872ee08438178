"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Writer = void 0;
/**
 * Bytes in the making: the records of a batch and the values in them, in one buffer that is used again and again.
 */
class Writer {
  buffer;
  length = 0;
  constructor(capacity = 4096) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }
  /** Makes room for that many bytes more. */
  reserve(bytes) {
    const needed = this.length + bytes;
    if (needed > this.buffer.length) this.#grow(needed);
  }
  #grow(needed) {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
  /** What has been written, in place: good until the next write. */
  bytes() {
    return this.buffer.subarray(0, this.length);
  }
  /** Begins anew, without the memory of an uncommonly large past. */
  reset() {
    this.length = 0;
    if (this.buffer.length > 4 << 20) this.buffer = Buffer.allocUnsafeSlow(65536);
  }
  u8(value) {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }
  bool(value) {
    this.u8(value ? 1 : 0);
  }
  u32(value) {
    this.reserve(4);
    this.patch(this.length, value);
    this.length += 4;
  }
  /** Writes a u32 over what stands there. */
  patch(at, value) {
    const { buffer } = this;
    buffer[at] = value;
    buffer[at + 1] = value >>> 8;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 24;
  }
  /** A number that is a safe integer and not negative, in 64 bits. */
  u64(value) {
    this.u32(value >>> 0);
    this.u32(Math.floor(value / 0x1_0000_0000));
  }
  i64(value) {
    this.reserve(8);
    this.length = this.buffer.writeBigInt64LE(value, this.length);
  }
  text(text) {
    const start = this.length;
    this.u32(0);
    this.reserve(text.length * 3);
    this.length += this.buffer.write(text, this.length, "utf8");
    this.patch(start, this.length - start - 4);
  }
  raw(bytes) {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }
  blob(bytes) {
    this.u32(bytes.length);
    this.raw(bytes);
  }
}
exports.Writer = Writer;
