import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Agent,
  context,
  Dictionary,
  dictionary,
  IndexOutOfRangeError,
  InvalidKeyError,
  list,
  List,
  OwnerGoneError,
  startAgent,
  state,
} from "perper";

import { fixture } from "./support/fixture.mjs";

const { serve } = await fixture();
const told: string[] = [];
await serve(
  new Agent("Basket")
    .onUpgrade(() => void told.push(`upgrade ${context().instance}`))
    .onEnter(() => void told.push(`enter ${context().instance}`))
    .onStart(async (...items: string[]) => {
      for (const item of items) await state.set(item, 1);
      return items.length;
    })
    .onStop(() => void told.push(`stop ${context().instance}`))
    .delegate("Add", async (item: string) => {
      const count = ((await state.get<number>(item)) ?? 0) + 1;
      await state.set(item, count);
      return count;
    })
    .delegate("Named", async () => {
      const named = await dictionary({ name: "more" });
      await named.set("a", 1);
      return named;
    }),
);

test("each instance has a state and a life of its own", async () => {
  const [mine, started] = await startAgent<number>("Basket", "apple", "pear");
  const [yours] = await startAgent("Basket");
  assert.equal(started, 2);
  assert.equal(await mine.call("Add", "apple"), 2);
  assert.equal(await yours.call("Add", "apple"), 1);
  assert.ok(await mine.stop());
  assert.deepEqual(
    told.filter((line) => line.endsWith(mine.instance)),
    ["upgrade", "enter", "stop"].map((what) => `${what} ${mine.instance}`),
  );
  assert.equal(await mine.stop(), false);
});

test("a dictionary of that name is the same one, and goes with the instance", async () => {
  const [basket] = await startAgent("Basket");
  const named = await basket.call<Dictionary<string, number>>("Named");
  assert.ok(named instanceof Dictionary);
  assert.equal(await named.get("a"), 1);
  assert.equal((await basket.call<Dictionary>("Named")).dictionary, named.dictionary);
  await basket.stop({ force: true });
  await assert.rejects(named.get("a"), OwnerGoneError);
});

test("dictionaries", async () => {
  const words = await dictionary();
  assert.equal(await words.get("a"), undefined);
  await words.set("a", { of: 1 });
  assert.deepEqual(await words.get("a"), { of: 1 });
  assert.equal(await words.setIfAbsent("a", 2), false);
  assert.equal(await words.setIfAbsent("b", 2), true);
  assert.equal(await words.replaceIfEqual("b", 3, 4), false);
  assert.equal(await words.replaceIfEqual("b", 2, null), true);
  assert.equal(await words.get("b"), null);
  assert.equal(await words.getAndReplace("b", 5), null);
  assert.equal(await words.getAndRemove("b"), 5);
  assert.equal(await words.contains("b"), false);
  assert.equal(await words.removeIfEqual("a", 1), false);
  assert.equal(await words.remove("a"), true);
  assert.equal(await words.remove("a"), false);
  for (const key of [true, 1, 2.5, "text", new Uint8Array([1]), [1, "a"]]) await words.set(key, key);
  assert.equal(await words.count(), 6);
  assert.equal(await words.get(1.0), 1);
  const keys: unknown[] = [];
  for await (const key of words.keys()) keys.push(key);
  const entries: unknown[] = [];
  for await (const [key, value] of words) {
    assert.deepEqual(key, value);
    entries.push(key);
  }
  assert.deepEqual(keys, [true, 1, 2.5, "text", new Uint8Array([1]), [1, "a"]]);
  assert.deepEqual(entries, keys);
  await assert.rejects(words.set({ a: 1 }, 1), InvalidKeyError);
  await assert.rejects(
    words.set("f", () => 1),
    /value is a function/,
  );
  await words.clear();
  assert.equal(await words.count(), 0);
  await words.destroy();
});

test("a batch applies whole or not at all", async () => {
  const words = await dictionary();
  assert.equal(await words.batch().set("a", 1).set("b", 2).apply(), true);
  assert.equal(await words.batch().replaceIfEqual("a", 7, 8).remove("b").apply(), false);
  assert.equal(await words.get("b"), 2);
  assert.equal(await words.batch().setIfAbsent("c", 3).removeIfEqual("a", 1).remove("b").apply(), true);
  const entries: unknown[] = [];
  for await (const entry of words.entries()) entries.push(entry);
  assert.deepEqual(entries, [["c", 3]]);
});

test("many pages of entries are gone through", async () => {
  const words = await dictionary();
  for (let from = 0; from < 3000; from += 1000) {
    const batch = words.batch();
    for (let key = from; key < from + 1000; key += 1) batch.set(key, String(key));
    await batch.apply();
  }
  let next = 0;
  for await (const [key] of words) assert.equal(key, next++);
  assert.equal(next, 3000);
});

test("lists", async () => {
  const queue = await list();
  assert.ok(queue instanceof List);
  assert.equal(await queue.add("b"), 0);
  assert.equal(await queue.add(null), 1);
  await queue.insertAt(0, "a");
  await queue.setAt(2, "c");
  assert.equal(await queue.getAt(1), "b");
  assert.equal(await queue.indexOf("c"), 2);
  assert.equal(await queue.indexOf("x"), -1);
  assert.equal(await queue.contains("x"), false);
  assert.equal(await queue.count(), 3);
  const elements: unknown[] = [];
  for await (const element of queue) elements.push(element);
  assert.deepEqual(elements, ["a", "b", "c"]);
  assert.equal(await queue.removeAt(1), "b");
  assert.equal(await queue.remove("c"), true);
  assert.equal(await queue.dequeue(), "a");
  assert.equal(await queue.pop(), undefined);
  await assert.rejects(queue.getAt(5), IndexOutOfRangeError);
  await queue.add(1);
  await queue.clear();
  assert.equal(await queue.count(), 0);
  await queue.destroy();
});
