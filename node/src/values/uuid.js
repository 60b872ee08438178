"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Uuid = void 0;
const node_crypto_1 = require("node:crypto");
const TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A UUID. Its text alone would be text to the other side. */
class Uuid {
  #text;
  constructor(text) {
    this.#text = text;
  }
  /** From its text, or from its sixteen bytes. */
  static from(value) {
    if (value instanceof Uuid) return value;
    if (typeof value === "string") {
      const text = value.toLowerCase();
      if (!TEXT.test(text)) throw new RangeError(`${JSON.stringify(value)} is no UUID`);
      return new Uuid(text);
    }
    if (value.length !== 16) throw new RangeError(`a UUID has 16 bytes, not ${value.length}`);
    const hex = Buffer.from(value).toString("hex");
    return new Uuid(
      [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-"),
    );
  }
  /** A new one, by chance. */
  static random() {
    return new Uuid((0, node_crypto_1.randomUUID)());
  }
  /** Its sixteen bytes. */
  toBytes() {
    return new Uint8Array(Buffer.from(this.#text.replaceAll("-", ""), "hex"));
  }
  equals(other) {
    return this.#text === other.#text;
  }
  toString() {
    return this.#text;
  }
  toJSON() {
    return this.#text;
  }
  [Symbol.for("nodejs.util.inspect.custom")]() {
    return `Uuid(${this.#text})`;
  }
}
exports.Uuid = Uuid;
