import assert from "node:assert/strict";
import { AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import * as esm from "perper";
import { Agent, call, context, CancelledError, Stream, stream, withOptions } from "perper";

import { deferred, fixture } from "./support/fixture.mjs";

const require = createRequire(import.meta.url);
const cjs = require("perper") as typeof esm;
const { serve } = await fixture();
const id = (): string | undefined => context().execution?.execution;

/** Where the context must be the handler's: what each of these sees is compared with what the handler saw at first. */
const ways: Record<string, () => Promise<string | undefined>> = {
  promise: async () => {
    await Promise.resolve();
    return id();
  },
  timer: () => new Promise((resolve) => setTimeout(() => resolve(id()), 1)),
  immediate: () => new Promise((resolve) => setImmediate(() => resolve(id()))),
  microtask: () => new Promise((resolve) => queueMicrotask(() => resolve(id()))),
  sleep: async () => {
    await sleep(1);
    return id();
  },
  emitter: () =>
    new Promise((resolve) => {
      const emitter = new EventEmitter();
      emitter.on(
        "event",
        AsyncResource.bind(() => resolve(id())),
      );
      // From outside of every context.
      outside.once("tick", () => emitter.emit("event"));
    }),
  generator: async () => {
    for await (const seen of ticks()) return seen;
    return undefined;
  },
  call: async () => {
    await call("Nothing");
    return id();
  },
};

async function* ticks(): AsyncGenerator<string | undefined> {
  await sleep(1);
  yield id();
}

const outside = new EventEmitter().setMaxListeners(100);
const seen: (string | undefined)[] = [];
const after = deferred<string[]>();
await serve(
  new Agent("Ambient")
    .delegate("Nothing", () => undefined)
    .delegate("Way", async (name: string) => {
      const mine = id();
      const found = await ways[name]?.();
      return mine !== undefined && found === mine;
    })
    .delegate("Steps", async function* (to: number) {
      const mine = id();
      for (let number = 0; number < to; number += 1) {
        await sleep(1);
        seen.push(id() === mine ? undefined : id());
        yield number;
      }
    })
    .delegate("Spawn", () => {
      const mine = context();
      setTimeout(() => {
        const now = context();
        after.resolve([
          String(now === mine),
          String(now.execution?.execution),
          now.instance,
          String(now.remaining),
          // The connection is still there.
          String(now.signal.aborted),
        ]);
      }, 20);
    })
    .delegate("Instance", () => context().instance)
    .delegate("Cjs", () => cjs.context() === context() && cjs.call("Instance")),
);
const tick = setInterval(() => outside.emit("tick"), 1);
tick.unref();

for (const name of Object.keys(ways)) {
  test(`the context goes through: ${name}`, async () => {
    const found = await Promise.all(Array.from({ length: 20 }, () => call("Way", name)));
    assert.deepEqual(new Set(found), new Set([true]));
  });
}

test("each step of a generator has its context, whoever asks for it", async () => {
  const streams = await Promise.all([1, 2, 3].map(() => stream("Steps").start(20)));
  await Promise.all(
    streams.map(async (steps) => {
      let count = 0;
      for await (const step of steps) assert.equal(step, count++);
      assert.equal(count, 20);
    }),
  );
  assert.equal(seen.length, 60);
  assert.deepEqual(new Set(seen), new Set([undefined]));
});

test("what a handler leaves running keeps its instance, without parent and deadline", async () => {
  await withOptions({ timeout: 60_000 }).callAgent(new Agent("Ambient", "mine"), "Spawn");
  assert.deepEqual(await after.promise, ["true", "undefined", "mine", "undefined", "false"]);
});

test("ESM and CommonJS have one context, and the same classes", async () => {
  assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort());
  for (const name of Object.keys(cjs) as (keyof typeof esm)[]) assert.equal(esm[name], cjs[name], name);
  assert.equal(await new Agent("Ambient", "both").call("Cjs"), "both");
});

test("a context is entered, and holds for all that is within", async () => {
  const other = context().withInstance(new Agent("Ambient", "other"));
  assert.equal(await other.run(async () => (await sleep(1), call("Instance"))), "other");
  assert.equal(await call("Instance"), "Ambient-deploy");
});

test("what waits in a cancelled handler is given up, and its listeners with it", async () => {
  const told = deferred<unknown>();
  const begun = deferred();
  const numbers = await esm.blankStream<number>({ persistent: true });
  await numbers.write(1);
  await serve(
    new Agent("Listening").delegate("Listen", async (of: Stream<number>) => {
      try {
        for await (const item of of.replay()) if (item === 1) begun.resolve();
      } catch (error) {
        told.resolve(error);
        throw error;
      }
    }),
  );
  const controller = new AbortController();
  const ambient = numbersContext.withOptions({ signal: controller.signal });
  const listening = ambient.callAgent("Listening", "Listen", numbers);
  await begun.promise;
  controller.abort();
  await assert.rejects(listening, { name: "AbortError" });
  assert.ok((await told.promise) instanceof CancelledError);
  while ((await numbersContext.run(() => numbers.info())).listeners > 0) await sleep(1);
});

const numbersContext = context();
