import assert from "node:assert/strict";
import { test } from "node:test";

import { Agent, call, stream } from "perper";

import { fixture } from "./support/fixture.mjs";

/** How many calls; `PERPER_SOAK_CALLS=200000` for the long form. */
const CALLS = Number(process.env.PERPER_SOAK_CALLS ?? 20_000);
const AT_ONCE = 256;

const { serve } = await fixture();
await serve(
  new Agent("Soak")
    .delegate("Echo", (text: string) => text)
    .delegate("Fail", () => {
      throw new RangeError("as expected");
    })
    .delegate("Numbers", async function* (to: number) {
      for (let number = 0; number < to; number += 1) yield number;
    }),
);

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

async function load(calls: number): Promise<void> {
  let left = calls;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      if (left % 50 === 0) await assert.rejects(call("Fail"));
      else if (left % 50 === 1) {
        const leave = left % 100 === 1 ? 5 : undefined;
        for await (const number of await stream("Numbers").start(10)) if (number === leave) break;
      } else await call("Echo", "some text, or other");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

function memory(): { heapUsed: number; rss: number } {
  gc?.();
  return process.memoryUsage();
}

test(`${CALLS} calls leave nothing behind`, { timeout: 600_000 }, async (t) => {
  await load(CALLS / 4);
  const before = memory();
  await load(CALLS);
  const { heapUsed, rss } = memory();
  const [heap, resident] = [heapUsed - before.heapUsed, rss - before.rss].map(
    (bytes) => bytes / (1 << 20),
  ) as [number, number];
  const said = `grown by ${heap.toFixed(1)} MiB of heap and ${resident.toFixed(1)} MiB resident`;
  t.diagnostic(said);
  assert.ok(heap < 2, said);
  // With the Fabric, which is in this process, too; allocators keep some of what they were given back.
  assert.ok(resident < 48, said);
  assert.deepEqual(unhandled, []);
});
