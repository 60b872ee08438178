import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { Decimal, Instant, Reference, Tagged, Uuid } from "perper";

const require = createRequire(import.meta.url);
// What is not public.
const { decode } = require("../../dist/values/decode.js") as typeof import("../dist/values/decode.js");
const { encode } = require("../../dist/values/encode.js") as typeof import("../dist/values/encode.js");

const again = (value: unknown): unknown => decode(encode(value));
const hex = (value: unknown): string => encode(value).toString("hex");

test("undefined is left out of objects and null in arrays, as in JSON", () => {
  assert.deepEqual(again({ a: undefined, b: [undefined], c: null }), { b: [null], c: null });
});

test("integers are written as integers, everything else as a float", () => {
  assert.equal(hex(1), "01");
  assert.equal(hex(1.0), "01");
  assert.equal(hex(-0), "fb8000000000000000");
  assert.equal(hex(2 ** 53), "fb4340000000000000");
  assert.equal(hex(2 ** 53 - 1), "1b001fffffffffffff");
  assert.equal(hex(5n), "05");
  assert.equal(again(2n ** 53n), 2n ** 53n);
  assert.equal(again(-(2n ** 53n) + 1n), -(2 ** 53) + 1);
});

test("typed arrays: one byte for each element is bytes, anything else an array of numbers", () => {
  assert.deepEqual(again(Buffer.from([1, 2])), new Uint8Array([1, 2]));
  assert.deepEqual(again(new Uint8ClampedArray([1, 300])), new Uint8Array([1, 255]));
  assert.deepEqual(again(new ArrayBuffer(2)), new Uint8Array(2));
  assert.deepEqual(again(new Float64Array([0.5, 2])), [0.5, 2]);
  assert.deepEqual(again(new BigInt64Array([-1n])), [-1]);
  assert.deepEqual(again(new Int16Array([-1, 300])), [-1, 300]);
});

test("objects of classes are their members, or what their toJSON says", () => {
  class Point {
    #hidden = 1;
    x = 1;
    get y(): number {
      return this.#hidden;
    }
  }
  assert.deepEqual(again(new Point()), { x: 1 });
  assert.equal(again(new URL("http://example.org/")), "http://example.org/");
  assert.deepEqual(again(Object.create(null, { a: { value: 1, enumerable: true } })), { a: 1 });
});

test("names that mean something to JavaScript are names like any other", () => {
  const odd = JSON.parse(
    '{ "__proto__": { "polluted": true }, "constructor": 1, "hasOwnProperty": 2 }',
  ) as object;
  const read = again(odd) as Record<string, unknown>;
  assert.deepEqual(Object.keys(read), ["__proto__", "constructor", "hasOwnProperty"]);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test("maps are objects while their keys are texts, and a Map otherwise, in order", () => {
  assert.deepEqual(again(new Map([["b", 1]])), { b: 1 });
  const mixed = new Map<unknown, unknown>([
    ["a", 1],
    [2, "two"],
    [null, true],
  ]);
  assert.deepEqual([...(again(mixed) as Map<unknown, unknown>)], [...mixed]);
});

test("what cannot be encoded is named with its place", () => {
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  const cases: [unknown, RegExp][] = [
    [() => 1, /^value is a function/],
    [{ a: [Symbol("s")] }, /^value\['a'\]\[0\] is a symbol/],
    [[Promise.resolve()], /^value\[0\] is a Promise/],
    [{ "it's": new WeakMap() }, /^value\['it\\'s'\] is a WeakMap/],
    [{ of: (async function* () {})() }, /^value\['of'\] is a generator; declare/],
    [(function* () {})(), /^value is a Generator, which/],
    [new Map([[1, /x/]]), /^value\[1\] is a RegExp/],
    [new Map([[() => 1, 1]]), /^value\[key 0\] is a function/],
    [new Set([1, () => 1]), /^value\[1\] is a function/],
    ["\ud800", /^value is text with a lone surrogate/],
    [{ error: new RangeError("x") }, /^value\['error'\] is an error \(RangeError\)/],
    [new Date(NaN), /^value is a Date that is invalid/],
    [cycle, /nested deeper than 128 levels; is there a cycle\?$/],
    [new Set([[1], [1]]), /^value\[1\]: /],
    [
      new Map([
        [[1], 1],
        [[1], 2],
      ]),
      /^value\[entry 1\]: /,
    ],
    [new Tagged(37, "no bytes"), /^value: /],
    [new Tagged(-1, 1), /^value has the tag -1/],
  ];
  for (const [value, message] of cases) {
    assert.throws(
      () => encode(value),
      (error) => {
        assert.ok(error instanceof TypeError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test("instants keep nanoseconds and offset", () => {
  const instant = Instant.from("1969-12-31T23:59:59.999999999+01:00");
  assert.equal(String(again(instant)), "1969-12-31T23:59:59.999999999+01:00");
  assert.equal(instant.epochNanoseconds, -3_600_000_000_001n);
  assert.deepEqual(instant.toDate(), new Date(-3_600_001));
  assert.ok(instant.equals(Instant.from("1969-12-31T22:59:59.999999999Z")));
  assert.ok(Instant.from(new Date(5)).equals(new Date(5)));
  for (const wrong of [
    "2023-02-29T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01 00:00:00Z",
    "2024-01-01T00:00:00",
    "2024-01-01T00:00:00-00:00",
  ]) {
    assert.throws(() => Instant.from(wrong), RangeError, wrong);
  }
});

test("decimals are exact", () => {
  const cases: [string, bigint, number, string][] = [
    ["1.50", 150n, -2, "1.50"],
    ["-0.005", -5n, -3, "-0.005"],
    ["2e10", 2n, 10, "2e10"],
    [".5", 5n, -1, "0.5"],
    ["12", 12n, 0, "12"],
  ];
  for (const [text, coefficient, exponent, shown] of cases) {
    const decimal = Decimal.from(text);
    assert.deepEqual(
      [decimal.coefficient, decimal.exponent, String(decimal)],
      [coefficient, exponent, shown],
    );
    const read = again(decimal) as Decimal;
    assert.deepEqual([read.coefficient, read.exponent], [coefficient, exponent]);
  }
  assert.ok(Decimal.from("1.0").equals(Decimal.from("1.00")));
  assert.equal(Decimal.from("-12.5").toNumber(), -12.5);
  assert.throws(() => Decimal.from("1,5"), RangeError);
  assert.throws(() => new Decimal(1n, 2 ** 31), RangeError);
});

test("UUIDs, unknown tags and unknown references survive", () => {
  const uuid = Uuid.from("01234567-89AB-cdef-0123-456789abcdef");
  assert.ok((again(uuid) as Uuid).equals(uuid));
  assert.deepEqual(Uuid.from(uuid.toBytes()).toString(), "01234567-89ab-cdef-0123-456789abcdef");
  assert.ok(!Uuid.random().equals(Uuid.random()));
  assert.deepEqual(again(new Tagged(999, [1])), new Tagged(999, [1]));
  assert.deepEqual(again(new Tagged(2n ** 63n, 1)), new Tagged(2n ** 63n, 1));
  const reference = new Reference("perper.Later", "id", new Map([["a", 1]]));
  assert.deepEqual(again(reference), reference);
});
