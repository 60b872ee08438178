// What figures.mjs runs in processes of its own: `role.mjs ROLE ENDPOINT NAME [MILLISECONDS [IN-FLIGHT]]`.
// It says `ready`, begins at a line on its input, tells what it counted with another line, and ends with its input.
import { once } from "node:events";
import { createInterface } from "node:readline";

import { Agent, connect, Stream } from "perper";

const [role, endpoint, name, milliseconds, inFlight] = process.argv.slice(2);
const window = { warmUp: Math.min(1000, Number(milliseconds) / 4), measure: Number(milliseconds) };
const item = "x".repeat(97);
const input = createInterface({ input: process.stdin });

async function begin() {
  console.log("ready");
  await once(input, "line");
  const from = performance.now() + window.warmUp;
  return { from, until: from + window.measure };
}

function tell(count, resource = process.memoryUsage()) {
  console.log(JSON.stringify({ count, seconds: window.measure / 1000, rss: resource.rss }));
}

const roles = {
  async worker() {
    const agent = await new Agent(name)
      .delegate("Echo", (value) => value)
      .stream("Items", function* () {
        for (;;) yield item;
      })
      .start({ endpoint, concurrency: 4096 });
    console.log("ready");
    await once(input, "close");
    await agent.stop();
  },

  async caller() {
    const context = await connect({ endpoint });
    const { from, until } = await begin();
    let count = 0;
    const one = async () => {
      for (;;) {
        await context.callAgent(name, "Echo", item);
        const now = performance.now();
        if (now >= until) return;
        if (now >= from) count += 1;
      }
    };
    await Promise.all(Array.from({ length: Number(inFlight) }, one));
    tell(count);
    await context.close();
  },

  async listener() {
    const context = await connect({ endpoint });
    const items = new Stream(name).replay().items();
    const { from, until } = await begin();
    let count = 0;
    let sum = 0;
    // The clock is looked at now and then: it costs as much as an item.
    let before = 0;
    for await (const item of items) {
      sum += item.length;
      if (++count % 1024 !== 0) continue;
      const now = performance.now();
      if (now < from) before = count;
      if (now >= until) break;
    }
    tell(sum > 0 ? count - before : 0);
    await context.close();
  },
};

await roles[role]();
process.exit();
