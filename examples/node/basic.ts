// One agent that shows one thing after the other: calls, an action stream, a processor that works in batches, two
// streams that feed each other.
import {
  Agent,
  call,
  declareStream,
  ExecutionFailedError,
  keyed,
  RemoteError,
  results,
  state,
  stream,
} from "perper";
import type { Stream } from "perper";

/** An action: it runs whether anybody listens or not. Here for what it leaves in the instance's state. */
async function* tick(times: number): AsyncGenerator<number> {
  for (let tick = 0; tick < times; tick += 1) {
    await state.set("ticks", tick + 1);
    yield tick;
  }
}

/** Sums of batches of ten items, and of what is left at the end. */
async function* sums(numbers: Stream<number>): AsyncGenerator<number> {
  let batch: number[] = [];
  const sum = (): number => batch.reduce((sum, number) => sum + number, 0);
  for await (const number of numbers.replay()) {
    batch.push(number);
    if (batch.length < 10) continue;
    yield sum();
    batch = [];
  }
  if (batch.length > 0) yield sum();
}

/** Adds one to what the other says, until it is enough. The one that begins says 0. */
async function* bounce(other: Stream<number>, begins: boolean): AsyncGenerator<number> {
  if (begins) yield 0;
  for await (const heard of other.replay()) {
    if (heard + 1 > 6) return;
    yield heard + 1;
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function show(): Promise<void> {
  console.log(`2 + 3 = ${await call<number>("Add", 2, 3)}`);

  const [quotient, remainder] = await call<[number, number]>("Divide", 17, 5);
  console.log(`17 / 5 = ${quotient}, remainder ${remainder}`);
  try {
    await call("Divide", 1, 0);
  } catch (error) {
    if (!(error instanceof ExecutionFailedError && error.cause instanceof RemoteError)) throw error;
    console.log(`1 / 0: ${error.cause.message}`);
  }

  const words = ["agent", "stream", "state"];
  const found = await call<string | undefined>("Find", words, "str");
  const missing = await call<string | undefined>("Find", words, "x");
  console.log(`found ${found} and ${missing}`);

  // The generator of an action starts by itself; to see that it has ended, one may still listen.
  const ticks = await stream<number>("Tick", { action: true, persistent: true }).start(3);
  const ticked = await collect(ticks.replay());
  console.log(`ticked ${ticked.join(", ")}, the state says ${await state.get<number>("ticks")}`);

  const numbers = await stream<number>("Numbers").start(25);
  const batches = await stream<number>("Sums").start(numbers);
  const total = (await collect(batches)).reduce((sum, number) => sum + number, 0);
  console.log(`25 numbers in batches sum up to ${total}`);

  // A circle: the first is declared, so that the second can be told of it. Both are persistent, since each has two
  // listeners that start when they start: of an ephemeral stream, what one had processed would be gone for the other.
  const ping = await declareStream<number>("Bounce", { persistent: true });
  const pong = await stream<number>("Bounce", { persistent: true }).start(ping.stream, false);
  await ping.start(pong, true);
  const [pings, pongs] = [await collect(ping.stream.replay()), await collect(pong.replay())];
  console.log(`ping ${pings.join(", ")}, pong ${pongs.join(", ")}`);
}

const agent = await new Agent("Basic")
  .delegate("Add", (a: number, b: number) => a + b)
  .delegate("Divide", (a: number, b: number) => {
    if (b === 0) throw new RangeError(`${a} cannot be divided by zero`);
    return results(Math.floor(a / b), a % b);
  })
  .delegate("Find", (words: string[], start: string) => words.find((word) => word.startsWith(start)))
  .stream("Tick", tick)
  // Numbers with keys of their own: whoever starts this again after a crash writes nothing twice.
  .stream("Numbers", function* (to: number) {
    for (let number = 0; number < to; number += 1) yield keyed(number, number);
  })
  .stream("Sums", sums)
  .stream("Bounce", bounce)
  .start();
try {
  await show();
} finally {
  await agent.stop();
}
