/**
 * Several results of a call: what `results` makes, and what a call of more than one result gives. It is an array like
 * any other; that it is this one tells several results from one that is an array, so that a handler hands them on as
 * they came.
 */
export class Results extends Array<unknown> {
  /** What is made of it, by `map` for example, is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/**
 * Several results, for a handler to return: the caller gets them as an array, or, in a language that has them, as
 * results of their own. An array that is returned without this is one result.
 */
export function results(...values: unknown[]): Results {
  const several = new Results();
  several.push(...values);
  return several;
}

/** An item with its key: see `keyed`. */
export class Keyed<T = unknown> {
  readonly key: bigint;
  readonly value: T;

  constructor(key: number | bigint, value: T) {
    this.key = BigInt(key);
    this.value = value;
  }
}

/** An item with its key, for a stream handler to yield. */
export function keyed<T>(key: number | bigint, value: T): Keyed<T> {
  return new Keyed(key, value);
}

/** What a handler returned, as the results that there are: nothing is none. */
export function resultsOf(returned: unknown): readonly unknown[] {
  if (returned === undefined || returned === null) return [];
  return returned instanceof Results ? returned : [returned];
}
