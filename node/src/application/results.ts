/** Several results of a call: see `results`. */
export class Results {
  readonly values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.values = values;
  }
}

/**
 * Several results, for a handler to return: the caller gets them as an array, or, in a language that has them, as
 * results of their own. An array that is returned without this is one result.
 */
export function results(...values: unknown[]): Results {
  return new Results(values);
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
  return returned instanceof Results ? returned.values : [returned];
}
