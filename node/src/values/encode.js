"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.MAX_DEPTH = void 0;
exports.encodeInto = encodeInto;
exports.encode = encode;
exports.isPlain = isPlain;
const native_js_1 = require("../native.js");
const decimal_js_1 = require("./decimal.js");
const instant_js_1 = require("./instant.js");
const reference_js_1 = require("./reference.js");
const tagged_js_1 = require("./tagged.js");
const uuid_js_1 = require("./uuid.js");
const writer_js_1 = require("./writer.js");
/** As deep as values may be. */
exports.MAX_DEPTH = 128;
/** What cannot be encoded, on its way up to where the path to it is complete. */
class Unencodable extends Error {
  path = "";
}
/** Appends a value to what is written. `place` names it in the error, for example `arguments[0]`. */
function encodeInto(out, value, place) {
  const start = out.length;
  try {
    const suspicious = new Encoder(out).root(value);
    if (suspicious) check(out.buffer.subarray(start, out.length), place);
  } catch (error) {
    out.length = start;
    if (error instanceof Unencodable) throw new TypeError(`${place}${error.path} ${error.message}`);
    throw error;
  }
}
/** The bytes of a value. */
function encode(value, place = "value") {
  const out = new writer_js_1.Writer(256);
  encodeInto(out, value, place);
  return out.bytes();
}
/** Keys and elements that are objects are told apart by identity here and by content elsewhere: the core compares. */
function check(bytes, place) {
  const fault = native_js_1.native.validate(bytes);
  if (fault !== null) throw new TypeError(`${place}${fault.path}: ${fault.message}`);
}
class Encoder {
  #out;
  /** There are keys or elements that only the core can tell apart. */
  #suspicious = false;
  constructor(out) {
    this.#out = out;
  }
  root(value) {
    this.#value(value, 0);
    return this.#suspicious;
  }
  #value(value, depth) {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.#out.u8(value ? 0xf5 : 0xf4);
      case "undefined":
        return this.#out.u8(0xf6);
      case "bigint":
        return this.#bigint(value);
      case "object":
        return value === null ? this.#out.u8(0xf6) : this.#object(value, depth);
      default:
        throw new Unencodable(`is a ${typeof value}, which is no value`);
    }
  }
  #head(major, argument) {
    const out = this.#out;
    out.reserve(9);
    const { buffer } = out;
    const type = major << 5;
    if (argument < 24) {
      buffer[out.length++] = type | argument;
    } else if (argument < 0x100) {
      buffer[out.length++] = type | 24;
      buffer[out.length++] = argument;
    } else if (argument < 0x10000) {
      buffer[out.length++] = type | 25;
      buffer[out.length++] = argument >>> 8;
      buffer[out.length++] = argument;
    } else if (argument < 0x1_0000_0000) {
      buffer[out.length++] = type | 26;
      out.length = buffer.writeUInt32BE(argument, out.length);
    } else {
      buffer[out.length++] = type | 27;
      out.length = buffer.writeUInt32BE(Math.floor(argument / 0x1_0000_0000), out.length);
      out.length = buffer.writeUInt32BE(argument >>> 0, out.length);
    }
  }
  #text(text) {
    const out = this.#out;
    const { length } = text;
    if (length < 24) {
      // Short texts are mostly ASCII: written here, which is less than the way to the runtime and back.
      out.reserve(length + 1);
      const { buffer } = out;
      let at = out.length;
      buffer[at++] = 0x60 | length;
      let index = 0;
      for (; index < length; index += 1) {
        const code = text.charCodeAt(index);
        if (code >= 0x80) break;
        buffer[at++] = code;
      }
      if (index === length) {
        out.length = at;
        return;
      }
    }
    const bytes = Buffer.byteLength(text);
    if (bytes !== length && !text.isWellFormed()) {
      throw new Unencodable("is text with a lone surrogate, which has no encoding");
    }
    this.#head(3, bytes);
    out.reserve(bytes);
    out.length += out.buffer.write(text, out.length, bytes === length ? "latin1" : "utf8");
  }
  #number(value) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0) this.#head(0, value);
      else this.#head(1, -1 - value);
      return;
    }
    const out = this.#out;
    out.reserve(9);
    out.buffer[out.length++] = 0xfb;
    if (Number.isNaN(value)) {
      out.buffer.writeUInt32BE(0x7ff80000, out.length);
      out.buffer.writeUInt32BE(0, out.length + 4);
      out.length += 8;
    } else {
      out.length = out.buffer.writeDoubleBE(value, out.length);
    }
  }
  #bigint(value) {
    const negative = value < 0n;
    const argument = negative ? -1n - value : value;
    if (argument <= BigInt(Number.MAX_SAFE_INTEGER)) return this.#head(negative ? 1 : 0, Number(argument));
    if (argument < 1n << 64n) {
      this.#out.reserve(9);
      this.#out.u8(negative ? 0x3b : 0x1b);
      this.#out.length = this.#out.buffer.writeBigUInt64BE(argument, this.#out.length);
      return;
    }
    const hex = argument.toString(16);
    this.#out.u8(negative ? 0xc3 : 0xc2);
    this.#bytes(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"));
  }
  #bytes(bytes) {
    this.#head(2, bytes.length);
    this.#out.raw(bytes);
  }
  #object(value, depth) {
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.#map(value, depth);
    if (value instanceof Uint8Array) return this.#bytes(value);
    if (value instanceof Map) return this.#entries(value, depth);
    if (value instanceof Set) return this.#set(value, depth);
    if (value instanceof Date || value instanceof instant_js_1.Instant) return this.#moment(value);
    if (value instanceof uuid_js_1.Uuid) {
      this.#head(6, 37);
      return this.#bytes(value.toBytes());
    }
    if (value instanceof decimal_js_1.Decimal) return this.#decimal(value);
    if (reference_js_1.toReference in value)
      return this.#reference(value[reference_js_1.toReference](), depth);
    if (value instanceof reference_js_1.Reference) return this.#reference(value, depth);
    if (value instanceof tagged_js_1.Tagged) return this.#tagged(value, depth);
    return this.#other(value, depth);
  }
  #deeper(depth) {
    if (depth < exports.MAX_DEPTH) return depth + 1;
    throw new Unencodable(`is nested deeper than ${exports.MAX_DEPTH} levels; is there a cycle?`);
  }
  #array(array, depth) {
    const inner = this.#deeper(depth);
    const { length } = array;
    this.#head(4, length);
    let index = 0;
    try {
      for (; index < length; index += 1) this.#value(array[index], inner);
    } catch (error) {
      throw at(error, `[${index}]`);
    }
  }
  /** An object as a map from the names of its members; what is undefined is left out, as JSON does. */
  #map(value, depth) {
    const inner = this.#deeper(depth);
    const members = value;
    const names = Object.keys(members);
    let count = 0;
    for (const name of names) if (members[name] !== undefined) count += 1;
    this.#head(5, count);
    let current = "";
    try {
      for (const name of names) {
        const member = members[name];
        if (member === undefined) continue;
        current = name;
        this.#text(name);
        this.#value(member, inner);
      }
    } catch (error) {
      throw at(error, `[${quote(current)}]`);
    }
  }
  #entries(map, depth) {
    const inner = this.#deeper(depth);
    this.#head(5, map.size);
    let place = "";
    let position = 0;
    try {
      for (const [key, member] of map) {
        place = `[key ${position}]`;
        if (!isPlain(key)) this.#suspicious = true;
        this.#value(key, inner);
        place =
          typeof key === "string"
            ? `[${quote(key)}]`
            : Number.isSafeInteger(key)
              ? `[${String(key)}]`
              : `[entry ${position}]`;
        this.#value(member, inner);
        position += 1;
      }
    } catch (error) {
      throw at(error, place);
    }
  }
  #set(set, depth) {
    this.#head(6, 258);
    const inner = this.#deeper(depth);
    this.#head(4, set.size);
    let position = 0;
    try {
      for (const element of set) {
        if (!isPlain(element)) this.#suspicious = true;
        this.#value(element, inner);
        position += 1;
      }
    } catch (error) {
      throw at(error, `[${position}]`);
    }
  }
  #moment(value) {
    let text;
    try {
      text = instant_js_1.Instant.from(value).toString();
    } catch {
      throw new Unencodable("is a Date that is invalid, or outside of the years 1 to 9999");
    }
    this.#head(6, 0);
    this.#text(text);
  }
  #decimal(value) {
    this.#head(6, 4);
    this.#head(4, 2);
    this.#number(value.exponent);
    this.#bigint(value.coefficient);
  }
  #reference(reference, depth) {
    const inner = this.#deeper(depth);
    this.#head(6, 27);
    this.#head(4, 3);
    this.#text(reference.type);
    this.#text(reference.id);
    try {
      this.#entries(reference.options, inner);
    } catch (error) {
      throw at(error, "[2]");
    }
  }
  #tagged(tagged, depth) {
    const inner = this.#deeper(depth);
    const { tag } = tagged;
    // Whether the content fits a tag that has a meaning is for the core to say.
    this.#suspicious = true;
    if (typeof tag === "number" && Number.isSafeInteger(tag) && tag >= 0) {
      this.#head(6, tag);
    } else if (typeof tag === "bigint" && tag >= 0n && tag < 1n << 64n) {
      this.#out.reserve(9);
      this.#out.u8(0xdb);
      this.#out.length = this.#out.buffer.writeBigUInt64BE(tag, this.#out.length);
    } else {
      throw new Unencodable(`has the tag ${String(tag)}, which is no unsigned 64-bit integer`);
    }
    this.#value(tagged.content, inner);
  }
  /** What is no plain object and none of our classes. */
  #other(value, depth) {
    if (ArrayBuffer.isView(value)) {
      // An array of numbers is one: only what has a byte for each element is bytes.
      if (value instanceof DataView || value instanceof Uint8ClampedArray) {
        return this.#bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      }
      return this.#array(value, depth);
    }
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
      return this.#bytes(new Uint8Array(value));
    }
    if (value instanceof Number || value instanceof String || value instanceof Boolean) {
      return this.#value(value.valueOf(), depth);
    }
    if (typeof value.toJSON === "function") {
      return this.#value(value.toJSON(), this.#deeper(depth));
    }
    const kind = Object.prototype.toString.call(value);
    const name = value.constructor?.name ?? "object";
    if (value instanceof Error) {
      throw new Unencodable(`is an ${name}, which is no value; throw it, or send its message`);
    }
    if (kind !== "[object Object]" || Symbol.iterator in value || Symbol.asyncIterator in value) {
      throw new Unencodable(`is a ${name}, which is no value`);
    }
    return this.#map(value, depth);
  }
}
/** Whether a Map or Set tells such keys apart exactly as values do. */
function isPlain(key) {
  switch (typeof key) {
    case "string":
    case "boolean":
      return true;
    case "number":
      // Beyond that, a bigint may be the same number.
      return Math.abs(key) <= Number.MAX_SAFE_INTEGER;
    default:
      return key === null;
  }
}
function at(error, segment) {
  if (error instanceof Unencodable) error.path = segment + error.path;
  return error;
}
function quote(name) {
  const short = name.length > 64 ? `${name.slice(0, 64)}…` : name;
  return `'${short.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
