import { context } from "../extensions/ambient.js";
import { IndexOutOfRangeError, InvalidArgumentError } from "../errors.js";
import { writeValue } from "../extensions/context.js";
import { Operation } from "../protocol/operations.js";
import { nothing } from "../protocol/reader.js";
import { Reference, register, toReference, type ReferenceOptions } from "../values/reference.js";
import { pages } from "./pages.js";

const TYPE = "perper.List";

interface Result {
  /** `undefined` where there is none, which no value is. */
  value: unknown;
  index: bigint;
  count: number;
  found: boolean;
}

const ADD = 1;
const POP = 2;
const DEQUEUE = 3;
const INSERT_AT = 4;
const REMOVE_AT = 5;
const GET_AT = 6;
const SET_AT = 7;
const INDEX_OF = 8;
const CONTAINS = 9;
const COUNT = 10;
const CLEAR = 11;
const REMOVE = 12;

/** A list in the Fabric. Both ends cost the same, however long it is. */
export class List<T = unknown> {
  readonly list: string;
  /** What the reference carries beside. */
  readonly options: ReferenceOptions;

  constructor(list: string, options: ReferenceOptions = new Map()) {
    this.list = list;
    this.options = options;
  }

  /** Adds at the end; gives the index. */
  async add(element: T): Promise<number> {
    return Number((await this.#update(ADD, 0, element)).index);
  }

  /** Takes from the end; undefined where there is nothing. */
  async pop(): Promise<T | undefined> {
    return (await this.#update(POP)).value as T | undefined;
  }

  /** Takes from the front; undefined where there is nothing. */
  async dequeue(): Promise<T | undefined> {
    return (await this.#update(DEQUEUE)).value as T | undefined;
  }

  async insertAt(index: number, element: T): Promise<void> {
    await this.#update(INSERT_AT, index, element);
  }

  /** Removes and gives the element at an index. */
  async removeAt(index: number): Promise<T> {
    return this.#element(await this.#update(REMOVE_AT, index), index);
  }

  async getAt(index: number): Promise<T> {
    return this.#element(await this.#update(GET_AT, index), index);
  }

  async setAt(index: number, element: T): Promise<void> {
    await this.#update(SET_AT, index, element);
  }

  /** Where the first equal element is; -1 where there is none. */
  async indexOf(element: T): Promise<number> {
    return Number((await this.#update(INDEX_OF, 0, element)).index);
  }

  async contains(element: T): Promise<boolean> {
    return (await this.#update(CONTAINS, 0, element)).found;
  }

  /** Removes the first equal element; tells whether there was one. */
  async remove(element: T): Promise<boolean> {
    return (await this.#update(REMOVE, 0, element)).found;
  }

  async count(): Promise<number> {
    return (await this.#update(COUNT)).count;
  }

  async clear(): Promise<void> {
    await this.#update(CLEAR);
  }

  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return this.elements();
  }

  /** The elements, in order. */
  elements(): AsyncGenerator<T, void, undefined> {
    const ambient = context();
    return pages((token) =>
      ambient.request(
        Operation.enumerateList,
        (out) => {
          out.text(this.list);
          out.u32(0);
          out.blob(token);
        },
        (reader) => ({ page: reader.values() as T[], next: reader.blob() }),
      ),
    );
  }

  /** Removes the list and all that is in it. */
  destroy(): Promise<void> {
    return context().request(Operation.destroyList, (out) => out.text(this.list), nothing);
  }

  #element(result: Result, index: number): T {
    if (result.value !== undefined) return result.value as T;
    throw new IndexOutOfRangeError(`the list has no element at index ${index}`, {
      metadata: { index: String(index) },
    });
  }

  async #update(kind: number, index = 0, ...value: unknown[]): Promise<Result> {
    if (!Number.isSafeInteger(index) || index < 0) {
      throw new InvalidArgumentError(`the index is ${index}; use an integer of 0 or more`);
    }
    return context().request(
      Operation.updateList,
      (out) => {
        out.text(this.list);
        out.u8(kind);
        out.u64(index);
        if (value.length > 0) writeValue(out, value[0], "element");
        else out.u32(0);
      },
      (reader) => ({
        value: reader.optional(),
        index: reader.i64(),
        count: reader.u64(),
        found: reader.bool(),
      }),
    );
  }

  [toReference](): Reference {
    return new Reference(TYPE, this.list, this.options);
  }
}

register(TYPE, ({ id, options }) => new List(id, options));
