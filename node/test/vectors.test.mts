import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { InvalidValueError } from "perper";

const require = createRequire(import.meta.url);
// What is not public.
const { decode } = require("../../dist/values/decode.js") as typeof import("../dist/values/decode.js");
const { encode } = require("../../dist/values/encode.js") as typeof import("../dist/values/encode.js");
const { native } = require("../../dist/native.js") as typeof import("../dist/native.js");

interface Vector {
  name: string;
  hex: string;
  canonical: string;
  key?: string;
  key_reason?: string;
  key_path?: string;
  reason: string;
  path: string;
  diagnostic: string;
}

function vectors<T = Vector[]>(file: string): T {
  const url = new URL(`../../../conformance/vectors/${file}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as T;
}

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const again = (hex: string): Buffer => encode(decode(bytes(hex)));

test("what is accepted is read, and written again it is equal", () => {
  for (const vector of vectors("accepted")) {
    const canonical = native.canonicalise(again(vector.hex));
    assert.ok(Buffer.isBuffer(canonical), vector.name);
    assert.equal(canonical.toString("hex"), vector.canonical, vector.name);
  }
});

test("a value is a key, or refused as one, whether it was read here or not", () => {
  for (const vector of vectors("accepted")) {
    const key = native.encodeKey(again(vector.hex));
    if (vector.key === undefined) {
      assert.ok(!Buffer.isBuffer(key), vector.name);
      assert.deepEqual([key.reason, key.path], [vector.key_reason, vector.key_path], vector.name);
    } else {
      assert.ok(Buffer.isBuffer(key), vector.name);
      assert.equal(key.toString("hex"), vector.key, vector.name);
    }
  }
});

test("what is to be rejected is, for that reason, at that place", () => {
  for (const vector of vectors("rejected")) {
    assert.throws(
      () => decode(bytes(vector.hex)),
      (error) => {
        assert.ok(error instanceof InvalidValueError, vector.name);
        assert.deepEqual(error.metadata, { reason: vector.reason, path: vector.path }, vector.name);
        return true;
      },
      vector.name,
    );
  }
});

test("keys keep their order", () => {
  let last: Uint8Array = Buffer.alloc(0);
  for (const vector of vectors("keys")) {
    const key = native.encodeKey(again(vector.hex));
    assert.ok(Buffer.isBuffer(key), vector.diagnostic);
    assert.equal(key.toString("hex"), vector.key, vector.diagnostic);
    assert.ok(Buffer.compare(last, key) < 0, vector.diagnostic);
    last = key;
  }
});

test("equal values stay equal, different ones different", () => {
  const { equal, different } =
    vectors<Record<"equal" | "different", { name: string; hex: string[] }[]>>("equality");
  const canonical = (hex: string): string => {
    const bytes = native.canonicalise(again(hex));
    assert.ok(Buffer.isBuffer(bytes));
    return bytes.toString("hex");
  };
  for (const { name, hex } of equal) assert.equal(new Set(hex.map(canonical)).size, 1, name);
  for (const { name, hex } of different) assert.equal(new Set(hex.map(canonical)).size, hex.length, name);
});
