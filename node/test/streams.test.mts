import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Agent,
  blankStream,
  call,
  context,
  declareStream,
  ExecutionFailedError,
  keyed,
  Stream,
  StreamCompletedError,
  stream,
  StreamKeyNotIncreasingError,
} from "perper";

import { deferred, fixture } from "./support/fixture.mjs";

const { serve } = await fixture();
const left = deferred<string>();
await serve(
  new Agent("Source")
    .stream("Numbers", async function* (to: number) {
      await Promise.resolve();
      for (let number = 0; number < to; number += 1) yield number;
    })
    .stream("Plain", function* (to: number) {
      for (let number = 0; number < to; number += 1) yield { number };
    })
    .stream(
      "Packed",
      async function* () {
        await Promise.resolve();
        yield keyed(2, "c");
        yield keyed(0, "a");
        yield keyed(1, "b");
      },
      { packed: true, persistent: true },
    )
    .stream("FailAfter", async function* (to: number) {
      await Promise.resolve();
      for (let number = 0; number < to; number += 1) yield number;
      throw new RangeError("no numbers left");
    })
    .stream("Endless", async function* () {
      try {
        for (let number = 0; ; number += 1) {
          yield number;
          await new Promise(setImmediate);
        }
      } finally {
        left.resolve(context().signal.aborted ? "cancelled" : "left");
      }
    })
    .stream("Squares", async function* (numbers: Stream<number>) {
      for await (const number of numbers) yield number * number;
    })
    .delegate("Sum", async (numbers: Stream<number>) => {
      let sum = 0;
      for await (const number of numbers) sum += number;
      return sum;
    }),
);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test("what a generator yields is what a listener gets, in order, to the end", async () => {
  const numbers = await stream<number>("Numbers").start(10_000);
  assert.deepEqual(
    await collect(numbers),
    Array.from({ length: 10_000 }, (_, number) => number),
  );
});

test("a plain generator will do, and one that was called gives a stream", async () => {
  assert.deepEqual(await collect(await call<Stream>("Plain", 2)), [{ number: 0 }, { number: 1 }]);
});

test("streams are handed on", async () => {
  const numbers = await stream("Numbers", { persistent: true }).start(5);
  const squares = await stream<number>("Squares").start(numbers.replay());
  assert.equal(await call("Sum", squares), 30);
});

test("entries have keys, and packed ones come in their order", async () => {
  const packed = await stream<string>("Packed", { packed: true, persistent: true }).start();
  assert.deepEqual(await collect(packed.replay().entries()), [
    [0n, "a"],
    [1n, "b"],
    [2n, "c"],
  ]);
  assert.deepEqual(await collect(packed.replay(1)), ["b", "c"]);
  const { entries, end } = await packed.read(2);
  assert.deepEqual([entries, end?.skipped], [[[2n, "c"]], 0]);
});

test("a listener gets what was yielded before an error, and then the error", async () => {
  const failing = await stream<number>("FailAfter").start(3);
  const items: number[] = [];
  await assert.rejects(
    async () => {
      for await (const item of failing) items.push(item);
    },
    (error) => {
      assert.ok(error instanceof ExecutionFailedError, String(error));
      assert.match(error.message, /RangeError.*no numbers left/);
      return true;
    },
  );
  assert.deepEqual(items, [0, 1, 2]);
});

test("leaving the loop detaches the listener, and destroying a stream cancels its generator", async () => {
  const endless = await stream<number>("Endless").start();
  for await (const item of endless) {
    if (item === 100) break;
  }
  while ((await endless.info()).listeners > 0) await new Promise(setImmediate);
  await endless.destroy();
  assert.equal(await left.promise, "cancelled");
});

test("a blank stream is written to and completed", async () => {
  const blank = await blankStream<string>({ persistent: true });
  const first = await blank.write("a");
  assert.ok((await blank.write("b")) > first);
  await blank.complete();
  await assert.rejects(blank.write("c"), StreamCompletedError);
  assert.deepEqual(await collect(blank.replay()), ["a", "b"]);
  const info = await blank.info();
  assert.deepEqual([info.itemsWritten, info.persistent, info.firstKey], [2, true, first]);
});

test("a writer writes much, keys and all", async () => {
  const blank = await blankStream<number>({ persistent: true });
  const writer = blank.writer();
  for (let number = 0; number < 20_000; number += 1) await writer.write(number, number * 10);
  await writer.flush();
  await assert.rejects(async () => {
    await writer.write(1, 5);
    await writer.flush();
  }, StreamKeyNotIncreasingError);
  await writer.close().catch(() => undefined);
  await blank.writeKeyed(1_000_000, -1);
  await blank.complete();
  const entries = await collect(blank.replay().entries());
  assert.equal(entries.length, 20_001);
  assert.deepEqual(
    [entries[7], entries.at(-1)],
    [
      [70n, 7],
      [1_000_000n, -1],
    ],
  );
});

test("a stream may be failed from outside", async () => {
  const blank = await blankStream({ persistent: true });
  await blank.write(1);
  await blank.fail(new Error("broken"));
  await assert.rejects(collect(blank.replay()), (error) => {
    assert.ok(error instanceof ExecutionFailedError, String(error));
    assert.match(error.message, /broken/);
    return true;
  });
});

test("a named listener goes on where it was: what came last was not processed", async () => {
  const blank = await blankStream<number>({ persistent: true, packed: true });
  for (let number = 0; number < 6; number += 1) await blank.writeKeyed(number, number);
  const seen: number[] = [];
  for await (const item of blank.replay().items({ name: "me" })) {
    seen.push(item);
    if (item === 2) break;
  }
  await blank.complete();
  for await (const item of blank.replay().items({ name: "me" })) seen.push(item);
  assert.deepEqual(seen, [0, 1, 2, 2, 3, 4, 5]);
  await blank.removeListener("me");
  assert.equal((await collect(blank.replay().items({ name: "me" }))).length, 6);
});

test("a declared stream is known before it starts", async () => {
  const declared = await declareStream<number>("Squares", { persistent: true });
  const numbers = await stream("Numbers", { persistent: true }).start(3);
  const sum = call("Sum", declared.stream.replay());
  await declared.start(numbers.replay());
  assert.equal(await sum, 5);
});

test("an item that is none fails the generator with its path", async () => {
  const { context: implicit } = await serve(
    new Agent("Odd").stream("Functions", function* () {
      yield [() => 1];
    }),
  );
  await assert.rejects(
    implicit.run(async () => collect(await call<Stream>("Functions"))),
    /item\[0\] is a function/,
  );
});
