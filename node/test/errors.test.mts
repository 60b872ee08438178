import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { NotFoundError, PerperError, UnknownError } from "perper";

const require = createRequire(import.meta.url);
// What is not public.
const { native } = require("../../dist/native.js") as typeof import("../dist/native.js");
const { errorOf } = require("../../dist/errors.js") as {
  errorOf: (number: number, reason: string, message: string) => PerperError;
};

test("there is a class for each kind that the core knows, with its number and its name", () => {
  const kinds = native.errorKinds();
  assert.ok(kinds.length > 40);
  const classes = new Set<unknown>();
  for (const { code, name } of kinds) {
    const error = errorOf(code, name, "said so");
    assert.ok(error instanceof PerperError && error instanceof Error);
    assert.deepEqual([error.code, error.reason, error.message], [name, name, "said so"]);
    assert.match(error.name, /^[A-Z]\w+Error$/);
    assert.ok(String(error.stack).startsWith(`${error.name}: said so`), error.stack);
    classes.add(error.constructor);
  }
  assert.equal(classes.size, kinds.length);
});

test("a kind of a later version keeps its reason", () => {
  const error = errorOf(9999, "SOLAR_FLARE", "the sun");
  assert.ok(error instanceof UnknownError);
  assert.deepEqual([error.code, error.reason], ["UNKNOWN", "SOLAR_FLARE"]);
});

test("errors may be made by hand", () => {
  const error = new NotFoundError("no such basket", { metadata: { basket: "b" }, cause: 7 });
  assert.deepEqual([error.code, error.metadata.basket, error.cause], ["NOT_FOUND", "b", 7]);
});
