import assert from "node:assert/strict";
import { test } from "node:test";

import { Agent, call, stream } from "perper";

import { fixture } from "./support/fixture.mjs";

/** How many calls; `PERPER_SOAK_CALLS=200000` for the long form. */
const CALLS = Number(process.env.PERPER_SOAK_CALLS ?? 20_000);
const AT_ONCE = 256;
const ROUNDS = 8;

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
        const numbers = await stream("Numbers").start(10);
        for await (const number of numbers) if (number === leave) break;
        // The Fabric is in this process, too, and would keep it.
        await numbers.destroy();
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
  // Allocators keep some of what they were given back, now more, now less: the least of the earlier rounds is set
  // against the least of the later ones, which only what is left behind makes larger.
  const rounds: { heapUsed: number; rss: number }[] = [];
  while (rounds.length < ROUNDS) {
    await load(CALLS / ROUNDS);
    rounds.push(memory());
  }
  const least = (some: typeof rounds, of: "heapUsed" | "rss"): number =>
    Math.min(...some.map((round) => round[of]));
  const growth = (of: "heapUsed" | "rss"): number =>
    (least(rounds.slice(ROUNDS / 2), of) - least(rounds.slice(0, ROUNDS / 2), of)) / (1 << 20);
  const [heap, resident] = [growth("heapUsed"), growth("rss")];
  const said = `grown by ${heap.toFixed(1)} MiB of heap and ${resident.toFixed(1)} MiB resident`;
  t.diagnostic(said);
  assert.ok(heap < 2, said);
  // With the Fabric, which is in this process, too.
  assert.ok(resident < 48, said);
  assert.deepEqual(unhandled, []);
});
