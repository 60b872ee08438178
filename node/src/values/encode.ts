import { native } from "../native.js";
import { Decimal } from "./decimal.js";
import { Instant } from "./instant.js";
import { Reference, toReference, type Referring } from "./reference.js";
import { Tagged } from "./tagged.js";
import { Uuid } from "./uuid.js";
import { Writer } from "./writer.js";

/** As deep as values may be. */
export const MAX_DEPTH = 128;

/** What cannot be encoded, on its way up to where the path to it is complete. */
class Unencodable extends Error {
  path = "";
}

/** Appends a value to what is written. `place` names it in the error, for example `arguments[0]`. */
export function encodeInto(out: Writer, value: unknown, place: string): void {
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
export function encode(value: unknown, place = "value"): Buffer {
  const out = new Writer(256);
  encodeInto(out, value, place);
  return out.bytes();
}

/** Keys and elements that are objects are told apart by identity here and by content elsewhere: the core compares. */
function check(bytes: Uint8Array, place: string): void {
  const fault = native.validate(bytes);
  if (fault !== null) throw new TypeError(`${place}${fault.path}: ${fault.message}`);
}

class Encoder {
  readonly #out: Writer;
  /** There are keys or elements that only the core can tell apart. */
  #suspicious = false;

  constructor(out: Writer) {
    this.#out = out;
  }

  root(value: unknown): boolean {
    this.#value(value, 0);
    return this.#suspicious;
  }

  #value(value: unknown, depth: number): void {
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

  #head(major: number, argument: number): void {
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

  #text(text: string): void {
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

  #number(value: number): void {
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

  #bigint(value: bigint): void {
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

  #bytes(bytes: Uint8Array): void {
    this.#head(2, bytes.length);
    this.#out.raw(bytes);
  }

  #object(value: object, depth: number): void {
    if (Array.isArray(value)) return this.#array(value, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.#map(value, depth);
    if (value instanceof Uint8Array) return this.#bytes(value);
    if (value instanceof Map) return this.#entries(value, depth);
    if (value instanceof Set) return this.#set(value, depth);
    if (value instanceof Date || value instanceof Instant) return this.#moment(value);
    if (value instanceof Uuid) {
      this.#head(6, 37);
      return this.#bytes(value.toBytes());
    }
    if (value instanceof Decimal) return this.#decimal(value);
    if (toReference in value) return this.#reference((value as Referring)[toReference](), depth);
    if (value instanceof Reference) return this.#reference(value, depth);
    if (value instanceof Tagged) return this.#tagged(value, depth);
    return this.#other(value, depth);
  }

  #deeper(depth: number): number {
    if (depth < MAX_DEPTH) return depth + 1;
    throw new Unencodable(`is nested deeper than ${MAX_DEPTH} levels; is there a cycle?`);
  }

  #array(array: ArrayLike<unknown>, depth: number): void {
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
  #map(value: object, depth: number): void {
    const inner = this.#deeper(depth);
    const members = value as Record<string, unknown>;
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

  #entries(map: Map<unknown, unknown>, depth: number): void {
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

  #set(set: Set<unknown>, depth: number): void {
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

  #moment(value: Date | Instant): void {
    let text: string;
    try {
      text = Instant.from(value).toString();
    } catch {
      throw new Unencodable("is a Date that is invalid, or outside of the years 1 to 9999");
    }
    this.#head(6, 0);
    this.#text(text);
  }

  #decimal(value: Decimal): void {
    this.#head(6, 4);
    this.#head(4, 2);
    this.#number(value.exponent);
    this.#bigint(value.coefficient);
  }

  #reference(reference: Reference, depth: number): void {
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

  #tagged(tagged: Tagged, depth: number): void {
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
  #other(value: object, depth: number): void {
    if (ArrayBuffer.isView(value)) {
      // An array of numbers is one: only what has a byte for each element is bytes.
      if (value instanceof DataView || value instanceof Uint8ClampedArray) {
        return this.#bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      }
      return this.#array(value as unknown as ArrayLike<unknown>, depth);
    }
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
      return this.#bytes(new Uint8Array(value));
    }
    if (value instanceof Number || value instanceof String || value instanceof Boolean) {
      return this.#value(value.valueOf(), depth);
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
      return this.#value((value as { toJSON(): unknown }).toJSON(), this.#deeper(depth));
    }
    const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
    const { name } = value.constructor as { name: string };
    if (value instanceof Error) {
      throw new Unencodable(`is an error (${name}), which is no value; throw it, or send its message`);
    }
    if (Symbol.asyncIterator in value) {
      throw new Unencodable("is a generator; declare the delegate that returns it with `stream`");
    }
    if (kind !== "Object" || Symbol.iterator in value) {
      throw new Unencodable(`is a ${kind === "Object" ? name : kind}, which is no value`);
    }
    return this.#map(value, depth);
  }
}

/** Whether a Map or Set tells such keys apart exactly as values do. */
export function isPlain(key: unknown): boolean {
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

function at(error: unknown, segment: string): unknown {
  if (error instanceof Unencodable) error.path = segment + error.path;
  return error;
}

function quote(name: string): string {
  const short = name.length > 64 ? `${name.slice(0, 64)}…` : name;
  return `'${short.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
