// The types themselves: this file is compiled with `--strict`; what is expected to be wrong must be.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Agent,
  call,
  keyed,
  results,
  Stream,
  stream,
  type Context,
  type Dictionary,
  type Items,
  type List,
} from "perper";

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only for `true`. */
function holds<T extends true>(...types: T[]): void {
  assert.equal(types.length, 0);
}

type Awaits<F extends (...args: never[]) => unknown> = Awaited<ReturnType<F>>;

test("types", () => {
  // What is called says nothing of its result until the caller does.
  holds<Same<Awaited<ReturnType<typeof call>>, unknown>>();
  const sum = (): Promise<number> => call<number>("Add", 1, 2);
  holds<Same<Awaits<typeof sum>, number>>();
  const pair = (context: Context): Promise<[Agent, string]> => context.startAgent<string>("A");
  holds<Same<Awaits<typeof pair>[0], Agent>>();

  // Streams have a type of item, which goes on through whatever is made of them.
  const numbers = (): Promise<Stream<number>> => stream<number>("Numbers").start(1);
  holds<Same<Awaits<typeof numbers>, Stream<number>>>();
  const of = new Stream<number>("s");
  holds<Same<ReturnType<typeof of.replay>, Stream<number>>>();
  const items = (): Items<number> => of.items();
  const iterated = (): AsyncIterableIterator<number> => of.items();
  const entries = (): AsyncIterable<[bigint, number]> => of.entries();

  // @ts-expect-error an item of another type
  const wrong = (): Promise<bigint> => of.write("text");
  // @ts-expect-error a delegate has a name
  const unnamed = (): unknown => call(1);
  // @ts-expect-error a stream handler yields
  const plain = (): unknown => new Agent("A").stream("S", () => 1);
  // @ts-expect-error there is no such option
  const option = (): unknown => stream("S", { durable: true });
  // @ts-expect-error a key is an integer
  const key = (): unknown => keyed("a", 1);
  // @ts-expect-error a context is not made by hand
  const made = (context: Context): unknown => context.parts;
  assert.ok([wrong, unnamed, plain, option, key, made, pair, sum, numbers, items, iterated, entries]);

  // Handlers of any parameters; generators, plain and asynchronous.
  const agent = new Agent("A")
    .delegate("Add", (a: number, b: number) => a + b)
    .delegate("Both", async (name: string, ...rest: boolean[]) => results(name, rest))
    .stream("Plain", function* (to: number) {
      yield to;
    })
    .stream("Keyed", async function* () {
      yield keyed(1n, "a");
    });
  holds<Same<typeof agent, Agent>>();
  assert.equal(agent.agent, "A");

  const dictionary = undefined as unknown as Dictionary<string, number> | undefined;
  const list = undefined as unknown as List<string> | undefined;
  const get = (): Promise<number | undefined> | undefined => dictionary?.get("a");
  const pop = (): Promise<string | undefined> | undefined => list?.pop();
  // @ts-expect-error a value of another type
  const set = (): unknown => dictionary?.set("a", "b");
  assert.ok([get, pop, set]);
});
