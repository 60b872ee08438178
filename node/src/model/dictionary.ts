import { context } from "../extensions/ambient.js";
import { Operation } from "../protocol/operations.js";
import { nothing, type Reader } from "../protocol/reader.js";
import { encodeInto } from "../values/encode.js";
import { Reference, register, toReference, type ReferenceOptions } from "../values/reference.js";
import type { Writer } from "../values/writer.js";
import { pages } from "./pages.js";

const TYPE = "perper.Dictionary";

/** What one operation did. */
interface Result {
  applied: boolean;
  count: number;
  value: unknown;
}

const GET = 1;
const SET = 2;
const SET_IF_ABSENT = 3;
const REPLACE_IF_EQUAL = 4;
const GET_AND_REPLACE = 5;
const GET_AND_REMOVE = 6;
const REMOVE = 7;
const REMOVE_IF_EQUAL = 8;
const CONTAINS = 9;
const COUNT = 10;
const CLEAR = 11;

type Write = (out: Writer) => void;

/** What an operation speaks of; what is missing is not used by it. */
interface Of {
  key?: [unknown];
  value?: [unknown];
  expected?: [unknown];
}

function writeOperation(out: Writer, kind: number, { key, value, expected }: Of): void {
  out.u8(kind);
  for (const [name, part] of [
    ["key", key],
    ["value", value],
    ["expected", expected],
  ] as const) {
    const start = out.length;
    out.u32(0);
    if (part === undefined) continue;
    encodeInto(out, part[0], name);
    out.patch(start, out.length - start - 4);
  }
}

function readResults(reader: Reader): { failed: boolean; results: Result[] } {
  const failed = reader.i64() >= 0n;
  const results = reader.list(() => ({
    applied: reader.bool(),
    count: reader.u64(),
    value: reader.optional(),
  }));
  return { failed, results };
}

/** Several changes of a dictionary that are made all together or not at all: at most 1,000. */
export class DictionaryBatch<K, V> {
  readonly #dictionary: string;
  readonly #operations: Write[] = [];

  /** @internal */
  constructor(dictionary: string) {
    this.#dictionary = dictionary;
  }

  set(key: K, value: V): this {
    return this.#add(SET, { key: [key], value: [value] });
  }

  /** On condition that the key is not there. */
  setIfAbsent(key: K, value: V): this {
    return this.#add(SET_IF_ABSENT, { key: [key], value: [value] });
  }

  /** On condition that the key has that value. */
  replaceIfEqual(key: K, expected: V, value: V): this {
    return this.#add(REPLACE_IF_EQUAL, { key: [key], value: [value], expected: [expected] });
  }

  remove(key: K): this {
    return this.#add(REMOVE, { key: [key] });
  }

  /** On condition that the key has that value. */
  removeIfEqual(key: K, expected: V): this {
    return this.#add(REMOVE_IF_EQUAL, { key: [key], expected: [expected] });
  }

  #add(kind: number, of: Of): this {
    this.#operations.push((out) => writeOperation(out, kind, of));
    return this;
  }

  /** Makes the changes; tells whether all conditions held. */
  async apply(): Promise<boolean> {
    return !(await update(this.#dictionary, this.#operations)).failed;
  }
}

function update(dictionary: string, operations: Write[]): Promise<{ failed: boolean; results: Result[] }> {
  return context().request(
    Operation.updateDictionary,
    (out) => {
      out.text(dictionary);
      out.u32(operations.length);
      for (const write of operations) write(out);
    },
    readResults,
  );
}

/** A dictionary in the Fabric. */
export class Dictionary<K = unknown, V = unknown> {
  readonly dictionary: string;
  /** What the reference carries beside. */
  readonly options: ReferenceOptions;

  constructor(dictionary: string, options: ReferenceOptions = new Map()) {
    this.dictionary = dictionary;
    this.options = options;
  }

  /** The value of a key; undefined where it is not there. */
  async get<T = V>(key: K): Promise<T | undefined> {
    return (await this.#one(GET, { key: [key] }))?.value as T | undefined;
  }

  async set(key: K, value: V): Promise<void> {
    await this.#one(SET, { key: [key], value: [value] });
  }

  /** Tells whether the key was not there, and now is. */
  setIfAbsent(key: K, value: V): Promise<boolean> {
    return this.#applies(SET_IF_ABSENT, { key: [key], value: [value] });
  }

  /** Tells whether the key had that value, and now has the other. */
  replaceIfEqual(key: K, expected: V, value: V): Promise<boolean> {
    return this.#applies(REPLACE_IF_EQUAL, { key: [key], value: [value], expected: [expected] });
  }

  /** Sets the value of a key that is there, and gives the one before; undefined where it is not there, and stays so. */
  async getAndReplace<T = V>(key: K, value: V): Promise<T | undefined> {
    return (await this.#one(GET_AND_REPLACE, { key: [key], value: [value] }))?.value as T | undefined;
  }

  async getAndRemove<T = V>(key: K): Promise<T | undefined> {
    return (await this.#one(GET_AND_REMOVE, { key: [key] }))?.value as T | undefined;
  }

  /** Tells whether it was there. */
  remove(key: K): Promise<boolean> {
    return this.#applies(REMOVE, { key: [key] });
  }

  /** Tells whether the key had that value, and is gone. */
  removeIfEqual(key: K, expected: V): Promise<boolean> {
    return this.#applies(REMOVE_IF_EQUAL, { key: [key], expected: [expected] });
  }

  contains(key: K): Promise<boolean> {
    return this.#applies(CONTAINS, { key: [key] });
  }

  async count(): Promise<number> {
    return (await this.#one(COUNT, {}))?.count ?? 0;
  }

  async clear(): Promise<void> {
    await this.#one(CLEAR, {});
  }

  /** Several changes that are made all together or not at all. */
  batch(): DictionaryBatch<K, V> {
    return new DictionaryBatch<K, V>(this.dictionary);
  }

  [Symbol.asyncIterator](): AsyncGenerator<[K, V], void, undefined> {
    return this.entries();
  }

  /** Keys and values, in the order of the keys. */
  entries(): AsyncGenerator<[K, V], void, undefined> {
    return this.#enumerate(false, (key, value) => [key as K, value() as V]);
  }

  /** The keys, in their order. */
  keys(): AsyncGenerator<K, void, undefined> {
    return this.#enumerate(true, (key) => key as K);
  }

  #enumerate<T>(
    keysOnly: boolean,
    make: (key: unknown, value: () => unknown) => T,
  ): AsyncGenerator<T, void, undefined> {
    const ambient = context();
    return pages((token) =>
      ambient.request(
        Operation.enumerateDictionary,
        (out) => {
          out.text(this.dictionary);
          out.bool(keysOnly);
          out.u32(0);
          out.blob(token);
        },
        (reader) => {
          const page = reader.list(() => {
            const key = reader.value();
            const length = reader.buffer.readUInt32LE(reader.at);
            const end = reader.at + 4 + length;
            const entry = make(key, () => reader.value());
            reader.at = end;
            return entry;
          });
          return { page, next: reader.blob() };
        },
      ),
    );
  }

  /** Removes the dictionary and all that is in it. */
  destroy(): Promise<void> {
    return context().request(Operation.destroyDictionary, (out) => out.text(this.dictionary), nothing);
  }

  async #one(kind: number, of: Of): Promise<Result | undefined> {
    const { failed, results } = await update(this.dictionary, [(out) => writeOperation(out, kind, of)]);
    return failed ? undefined : results[0];
  }

  async #applies(kind: number, of: Of): Promise<boolean> {
    return (await this.#one(kind, of))?.applied ?? false;
  }

  [toReference](): Reference {
    return new Reference(TYPE, this.dictionary, this.options);
  }
}

register(TYPE, ({ id, options }) => new Dictionary(id, options));
