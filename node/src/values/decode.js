"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.decode = decode;
const errors_js_1 = require("../errors.js");
const native_js_1 = require("../native.js");
const decimal_js_1 = require("./decimal.js");
const encode_js_1 = require("./encode.js");
const instant_js_1 = require("./instant.js");
const reference_js_1 = require("./reference.js");
const tagged_js_1 = require("./tagged.js");
const uuid_js_1 = require("./uuid.js");
/** Thrown where something is amiss; what exactly, the core is asked then. */
const amiss = new Error("these bytes are no value");
/** The value that `bytes` hold, from `start` to `end`. */
function decode(bytes, start = 0, end = bytes.length) {
  const decoder = new Decoder(bytes, start, end);
  let value;
  try {
    value = decoder.whole();
    if (!decoder.suspicious) return value;
  } catch (error) {
    if (error !== amiss && !(error instanceof RangeError)) throw error;
    throw invalid(bytes.subarray(start, end));
  }
  // Keys that only the core can tell apart.
  const fault = native_js_1.native.validate(bytes.subarray(start, end));
  if (fault !== null) throw invalid(bytes.subarray(start, end));
  return value;
}
function invalid(bytes) {
  const fault = native_js_1.native.validate(bytes);
  const { reason, path, message } = fault ?? {
    reason: "range",
    path: "",
    message: "the value has a number that is too large for this language",
  };
  const text = path === "" ? message : `${path}: ${message}`;
  return new errors_js_1.InvalidValueError(text, { metadata: { reason, path } });
}
class Decoder {
  #bytes;
  #at;
  #end;
  suspicious = false;
  constructor(bytes, start, end) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }
  whole() {
    const value = this.#value(0);
    if (this.#at !== this.#end) throw amiss;
    return value;
  }
  #value(depth) {
    if (this.#at >= this.#end) throw amiss;
    const first = this.#bytes[this.#at++];
    const low = first & 0x1f;
    switch (first >> 5) {
      case 0:
        return low < 24 ? low : this.#unsigned(low);
      case 1: {
        const argument = this.#unsigned(low);
        if (typeof argument === "bigint") return -1n - argument;
        return argument < Number.MAX_SAFE_INTEGER ? -1 - argument : -1n - BigInt(argument);
      }
      case 2:
        return this.#blob(this.#length(low));
      case 3:
        return this.#text(this.#length(low));
      case 4:
        return this.#array(this.#length(low), depth);
      case 5:
        return this.#map(this.#length(low), depth);
      case 6:
        return this.#tag(this.#unsigned(low), depth);
      default:
        return this.#simple(low);
    }
  }
  /** The argument of a head: a number where it is safe. */
  #unsigned(low) {
    if (low < 24) return low;
    const bytes = this.#bytes;
    const at = this.#at;
    const size = low === 24 ? 1 : low === 25 ? 2 : low === 26 ? 4 : low === 27 ? 8 : 0;
    if (size === 0 || at + size > this.#end) throw amiss;
    this.#at += size;
    switch (size) {
      case 1:
        return bytes[at];
      case 2:
        return bytes.readUInt16BE(at);
      case 4:
        return bytes.readUInt32BE(at);
      default: {
        const high = bytes.readUInt32BE(at);
        return high < 0x20_0000
          ? high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
          : bytes.readBigUInt64BE(at);
      }
    }
  }
  /** A length or a count: never more than there are bytes left. */
  #length(low) {
    const length = low < 24 ? low : this.#unsigned(low);
    if (typeof length === "bigint" || length > this.#end - this.#at) throw amiss;
    return length;
  }
  #blob(length) {
    const start = this.#at;
    this.#at += length;
    // A copy: a view would keep the whole batch in memory.
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, start + length));
    return copy;
  }
  #text(length) {
    const bytes = this.#bytes;
    const start = this.#at;
    this.#at += length;
    if (length < 12) {
      // Short texts are mostly ASCII: put together here, which is less than the way to the runtime and back.
      let text = "";
      let at = start;
      for (const end = start + length; at < end; at += 1) {
        const byte = bytes[at];
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (at === start + length) return text;
    }
    const text = bytes.toString("utf8", start, start + length);
    // What is not UTF-8 is replaced by this character; where it was there before, the core finds nothing wrong.
    if (text.includes("\ufffd")) this.suspicious = true;
    return text;
  }
  #array(length, depth) {
    if (depth >= encode_js_1.MAX_DEPTH) throw amiss;
    const array = new Array(length);
    for (let index = 0; index < length; index += 1) array[index] = this.#value(depth + 1);
    return array;
  }
  #map(length, depth) {
    if (depth >= encode_js_1.MAX_DEPTH || length * 2 > this.#end - this.#at) throw amiss;
    const object = {};
    for (let index = 0; index < length; index += 1) {
      // An object as long as there are texts for keys, else a Map.
      if (this.#at >= this.#end) throw amiss;
      if (this.#bytes[this.#at] >> 5 !== 3) return this.#entries(length, index, object, depth);
      const key = this.#value(depth + 1);
      if (Object.hasOwn(object, key)) throw amiss;
      const value = this.#value(depth + 1);
      if (key === "__proto__") {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      } else {
        object[key] = value;
      }
    }
    return object;
  }
  #entries(length, done, object, depth) {
    const map = new Map();
    // Members that look like integers come first in an object: in a Map they keep their places only if read again.
    for (const key of Object.keys(object)) map.set(key, object[key]);
    for (let index = done; index < length; index += 1) {
      const key = this.#value(depth + 1);
      if (!(0, encode_js_1.isPlain)(key)) this.suspicious = true;
      map.set(key, this.#value(depth + 1));
    }
    if (map.size !== length) throw amiss;
    return map;
  }
  #simple(low) {
    switch (low) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 25: {
        this.#need(2);
        const half = this.#bytes.readUInt16BE(this.#at);
        this.#at += 2;
        return fromHalf(half);
      }
      case 26:
        this.#need(4);
        this.#at += 4;
        return this.#bytes.readFloatBE(this.#at - 4);
      case 27:
        this.#need(8);
        this.#at += 8;
        return this.#bytes.readDoubleBE(this.#at - 8);
      default:
        throw amiss;
    }
  }
  #need(bytes) {
    if (this.#at + bytes > this.#end) throw amiss;
  }
  #tag(tag, depth) {
    switch (tag) {
      case 0: {
        const text = this.#value(encode_js_1.MAX_DEPTH);
        if (typeof text !== "string") throw amiss;
        // A text that is no date-time is a RangeError, which decode() takes for what it is.
        return instant_js_1.Instant.from(text);
      }
      case 2:
      case 3: {
        const bytes = this.#value(encode_js_1.MAX_DEPTH);
        if (!(bytes instanceof Uint8Array)) throw amiss;
        const magnitude = bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
        const value = tag === 2 ? magnitude : -1n - magnitude;
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value;
      }
      case 4:
        return this.#decimal();
      case 27:
        return this.#reference(depth);
      case 37: {
        const bytes = this.#value(encode_js_1.MAX_DEPTH);
        if (!(bytes instanceof Uint8Array) || bytes.length !== 16) throw amiss;
        return uuid_js_1.Uuid.from(bytes);
      }
      case 258:
        return this.#set(depth);
      default:
        if (depth >= encode_js_1.MAX_DEPTH) throw amiss;
        return new tagged_js_1.Tagged(tag, this.#value(depth + 1));
    }
  }
  #decimal() {
    const parts = this.#value(encode_js_1.MAX_DEPTH - 1);
    if (!Array.isArray(parts) || parts.length !== 2) throw amiss;
    const [exponent, coefficient] = parts;
    if (!Number.isSafeInteger(exponent)) throw amiss;
    if (!Number.isSafeInteger(coefficient) && typeof coefficient !== "bigint") throw amiss;
    // Of what type they were, and how long the coefficient may be, is for the core to say.
    this.suspicious = true;
    return new decimal_js_1.Decimal(BigInt(coefficient), exponent);
  }
  #reference(depth) {
    this.#need(1);
    const parts = this.#value(depth);
    if (!Array.isArray(parts) || parts.length !== 3) throw amiss;
    const [type, id, options] = parts;
    if (typeof type !== "string" || typeof id !== "string") throw amiss;
    if (options instanceof Map) throw amiss;
    if (
      typeof options !== "object" ||
      options === null ||
      Object.getPrototypeOf(options) !== Object.prototype
    ) {
      throw amiss;
    }
    return (0, reference_js_1.fromReference)(
      new reference_js_1.Reference(type, id, new Map(Object.entries(options))),
    );
  }
  #set(depth) {
    const elements = this.#value(depth);
    if (!Array.isArray(elements)) throw amiss;
    const set = new Set(elements);
    if (set.size !== elements.length) throw amiss;
    for (const element of set) if (!(0, encode_js_1.isPlain)(element)) this.suspicious = true;
    return set;
  }
}
/** A float of 16 bits. */
function fromHalf(half) {
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
