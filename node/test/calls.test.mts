import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Agent,
  call,
  context,
  DeadlineExceededError,
  Decimal,
  CancelledError,
  ExecutionFailedError,
  Instant,
  InvalidSettingsError,
  RemoteError,
  results,
  type Results,
  Stream,
  tryContext,
  Uuid,
  withOptions,
} from "perper";

import { deferred, fixture } from "./support/fixture.mjs";

class OutOfStock extends Error {}

const { fabric, serve } = await fixture();
const running = deferred<AbortSignal>();
const agent = await serve(
  new Agent("Math")
    .delegate("Add", (a: number, b: number | undefined = 10) => a + b)
    .delegate("Divide", (a: number, b: number) => results(Math.floor(a / b), a % b))
    .delegate("Nothing", () => undefined)
    .delegate("Echo", (...values: unknown[]) => results(...values))
    .delegate("Pair", (a: unknown, b: unknown) => [a, b])
    .delegate("Sum", async (numbers: number[]) => {
      let sum = 0;
      for (const number of numbers) sum = await call<number>("Add", sum, number);
      return sum;
    })
    .delegate("Buy", (what: string) => {
      throw new OutOfStock(`no ${what} left`, { cause: new Error("the shelf is empty") });
    })
    .delegate("Forward", (delegate: string, ...args: unknown[]) => call(delegate, ...args))
    .delegate("Function", () => ({ of: [() => 1] }))
    .delegate("Remaining", () => context().remaining)
    .delegate("Wait", async () => {
      const { signal } = context();
      running.resolve(signal);
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          reject(signal.reason as Error);
        }),
      );
    })
    .delegate("Hang", () => new Promise(() => undefined)),
);

test("a call gives its result", async () => {
  assert.equal(await call("Add", 2, 3), 5);
  assert.equal(await new Agent("Math").call("Add", 2, 3), 5);
});

test("a parameter that is left out, or undefined at the end, has its default", async () => {
  assert.equal(await call("Add", 2), 12);
  assert.equal(await call("Add", 2, undefined), 12);
});

test("several results are an array, none is undefined, an array is one", async () => {
  assert.deepEqual([...(await call<Results>("Divide", 17, 5))], [3, 2]);
  assert.deepEqual([...(await call<Results>("Forward", "Divide", 17, 5))], [3, 2]);
  assert.equal(await call("Nothing"), undefined);
  assert.deepEqual(await call("Pair", 1, 2), [1, 2]);
});

test("calls nest", async () => {
  assert.equal(await call("Sum", [1, 2, 3, 4]), 10);
});

test("many calls are under way at once", async () => {
  const sums = await Promise.all(Array.from({ length: 2000 }, (_, number) => call("Add", number, 1)));
  assert.deepEqual(
    sums,
    Array.from({ length: 2000 }, (_, number) => number + 1),
  );
});

test("every kind of value goes there and back", async () => {
  const values = [
    true,
    "text ☃ 𝄞",
    2 ** 53,
    2n ** 64n,
    -(2n ** 200n),
    0.5,
    -0,
    NaN,
    new Uint8Array([0, 255]),
    [1, [2, [3]]],
    { a: { b: null }, __proto__x: 1 },
    new Map<unknown, unknown>([
      [1, "one"],
      [true, "yes"],
      [[1, 2], "pair"],
    ]),
    new Set([1, "a"]),
    new Stream("s", { start: 5n, stride: 2, localToData: true }),
    new Agent("A", "a-1"),
    new Map([["a", 1]]),
  ];
  const expected: unknown[] = [...values];
  // A Map with texts for keys is what an object is.
  expected[values.length - 1] = { a: 1 };
  // Beyond 2^53 numbers are floats, and this one is the integer.
  assert.deepEqual([...(await call<Results>("Echo", ...values))], expected);
  const [moment, uuid, decimal] = await call<[Instant, Uuid, Decimal]>(
    "Echo",
    Instant.from("2024-02-29T12:00:00.123456789+02:00"),
    Uuid.from("01234567-89ab-cdef-0123-456789abcdef"),
    Decimal.from("123.450"),
  );
  assert.equal(moment.toString(), "2024-02-29T12:00:00.123456789+02:00");
  assert.equal(uuid.toString(), "01234567-89ab-cdef-0123-456789abcdef");
  assert.equal(decimal.toString(), "123.450");
  const [date] = await call<[Instant, number]>("Echo", new Date(1234), 0);
  assert.deepEqual(date.toDate(), new Date(1234));
});

test("what a handler throws reaches the caller with type, message, stack and cause", async () => {
  await assert.rejects(call("Buy", "apples"), (error) => {
    assert.ok(error instanceof ExecutionFailedError);
    assert.equal(error.code, "EXECUTION_FAILED");
    assert.ok(error.cause instanceof RemoteError);
    assert.deepEqual([error.cause.type, error.cause.message], ["OutOfStock", "no apples left"]);
    assert.match(error.cause.stack ?? "", /calls\.test/);
    assert.match(error.cause.stack ?? "", /Caused by: Error: the shelf is empty/);
    return true;
  });
});

test("an error that was raised further down is handed on as it was raised", async () => {
  await assert.rejects(call("Forward", "Buy", "pears"), (error) => {
    assert.ok(error instanceof ExecutionFailedError && error.cause instanceof RemoteError);
    assert.deepEqual([error.cause.type, error.cause.message], ["OutOfStock", "no pears left"]);
    return true;
  });
});

test("what cannot be encoded is a TypeError with the path, on either side", async () => {
  await assert.rejects(call("Add", { a: [1, () => 2] }), {
    name: "TypeError",
    message: "arguments[0]['a'][1] is a function, which is no value",
  });
  await assert.rejects(call("Function"), (error) => {
    assert.ok(error instanceof ExecutionFailedError && error.cause instanceof RemoteError);
    assert.deepEqual(
      [error.cause.type, error.cause.message],
      ["TypeError", "result['of'][0] is a function, which is no value"],
    );
    return true;
  });
});

test("a deadline travels, and ends a call", async () => {
  const remaining = await withOptions({ timeout: 60_000 }).call<number>("Remaining");
  assert.ok(remaining > 0 && remaining <= 60_000, String(remaining));
  assert.equal(await call("Remaining"), undefined);
  const nested = await withOptions({ timeout: 60_000 }).call<number>("Forward", "Remaining");
  assert.ok(nested > 0 && nested <= 60_000, String(nested));
  await assert.rejects(withOptions({ timeout: 50 }).call("Hang"), DeadlineExceededError);
});

test("an aborted call rejects with the signal's reason, and its handler hears of it", async () => {
  const controller = new AbortController();
  const waiting = withOptions({ signal: controller.signal }).call("Wait");
  const signal = await running.promise;
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  assert.ok(signal.reason instanceof CancelledError, String(signal.reason));
  await assert.rejects(withOptions({ signal: controller.signal }).call("Add", 1, 2), reason);
});

test("one signal is for any number of calls", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", warned);
  const controller = new AbortController();
  const context = withOptions({ signal: controller.signal });
  const calls = Array.from({ length: 100 }, () => context.call("Hang").catch((error: unknown) => error));
  assert.equal(await context.call("Add", 1, 2), 3);
  controller.abort();
  for (const error of await Promise.all(calls)) assert.equal(error, controller.signal.reason);
  process.off("warning", warned);
  assert.deepEqual(warnings, []);
});

test("the context says who one is", async () => {
  assert.deepEqual(
    [context().agent.agent, context().instance, context().execution],
    ["Math", "Math-deploy", undefined],
  );
  const other = await new Agent("Describer")
    .delegate("Describe", () => {
      const { agent, delegate, attempt, execution } = context();
      return [agent, delegate, attempt, execution?.execution !== undefined];
    })
    .start({ endpoint: fabric.endpoint });
  // Two agents: neither is the default.
  assert.equal(tryContext(), undefined);
  await assert.rejects(call("Add", 1, 2), InvalidSettingsError);
  const described = await other.context.callAgent(new Agent("Describer", "d-1"), "Describe");
  assert.deepEqual(described, [new Agent("Describer", "d-1"), "Describe", 1, true]);
  await other.stop();
  assert.equal(tryContext(), agent.context);
});
