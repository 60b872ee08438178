// The agent that peers serve: everything that conformance/README.md lists.
import { Agent, call, context, keyed, results } from "perper";

import { execute, outcome } from "./commands.mjs";
import { event, gate, name } from "./output.mjs";
import { parse, print } from "./notation.mjs";

class OutOfStock extends Error {}

function text(value, parameter) {
  if (typeof value !== "string") throw new TypeError(`${parameter} is a text, not ${typeof value}`);
  return value;
}

function* keyedItems(entries) {
  for (const [key, value] of entries) yield keyed(key, value);
}

/** Tells when this handler is cancelled; never settles. */
function forever() {
  const { signal } = context();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      event("cancelled");
      reject(signal.reason);
    });
  });
}

async function* gated(count) {
  for (let number = 0; number < count; number += 1) {
    if (number === 2) {
      event("at the gate");
      await gate.pass();
    }
    yield number;
  }
}

export const agent = new Agent()
  .delegate("Echo", (...values) => results(...values))
  .delegate("Nothing", () => undefined)
  .delegate("Join", (first, second = "default") => `${text(first, "first")}+${text(second, "second")}`)
  .delegate("Buy", (what) => {
    throw new OutOfStock(`no ${what} left`);
  })
  .delegate("Forward", (delegate, ...args) => call(delegate, ...args))
  .delegate("Ask", (agent, delegate, ...args) => agent.call(delegate, ...args))
  .delegate("Wait", () => {
    const cancelled = forever();
    event("running", context().execution.execution);
    return cancelled;
  })
  .delegate("Work", async () => {
    event("working");
    await gate.pass();
    return results(name, context().attempt);
  })
  .delegate("Do", async (command) => print(await outcome(execute(parse(command)))))
  .stream("Numbers", async function* (from, to) {
    for (let number = from; number < to; number += 1) yield number;
  })
  .stream("Keyed", keyedItems)
  .stream("Packed", keyedItems, { persistent: true, packed: true })
  .stream("FailAfter", function* (count) {
    for (let number = 0; number < count; number += 1) yield number;
    throw new OutOfStock("no numbers left");
  })
  .stream("Hang", async function* (count) {
    const cancelled = forever();
    event("running");
    for (let number = 0; number < count; number += 1) yield number;
    await cancelled;
  })
  .stream("Squares", async function* (numbers) {
    for await (const number of numbers) yield number * number;
  })
  .stream("Bounce", async function* (other, first) {
    if (first) yield 0;
    for await (const number of other.replay()) {
      if (number + 1 >= 10) return;
      yield number + 1;
    }
  })
  .stream("Resumable", gated, { resume: "skip" })
  .stream("ResumableKeyed", async function* (count) {
    for await (const number of gated(count)) yield keyed(number * 10, number);
  })
  .onDeploy(() => event("deploy"))
  .onUpgrade(() => event("upgrade"))
  .onEnter(() => event("enter"))
  .onStart((...args) => {
    event("start");
    if (args.length === 1 && args[0] === "fail") throw new OutOfStock("no instances left");
    return results(...args);
  })
  .onStop(() => event("stop"));
