// Measures the package against Rust on the other side, in one run: calls with 256 in flight, items of 100 bytes.
//
//   cargo build --release -p perper-fabric -p perper-bench && node scripts/build.mjs --profile release
//   node bench/figures.mjs [SECONDS]
//
// perper-bench plays the Rust side, in its roles. The machine should have nothing else to do.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { connect } from "perper";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.env.PERPER_BENCH_TARGET ?? join(here, "../../target/release");
const seconds = Number(process.argv[2] ?? 5);
const IN_FLIGHT = 256;
const BYTES = 100;

for (const program of ["perper-fabric", "perper-bench"]) {
  if (!existsSync(join(target, program))) throw new Error(`${program} is not in ${target}: build it first`);
}

/** A process that speaks in lines. */
class Child {
  constructor(program, args, quiet = false) {
    this.process = spawn(program, args, { stdio: ["pipe", "pipe", quiet ? "ignore" : "inherit"] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.process.spawnargs.join(" ")} ended too early`);
    return value;
  }

  begin() {
    this.process.stdin.write("\n");
  }

  async end(signal) {
    const exited = this.process.exitCode === null ? once(this.process, "exit") : undefined;
    this.process.stdin.end();
    if (signal) this.process.kill(signal);
    await exited;
  }
}

const duration = (milliseconds) => ({
  secs: Math.floor(milliseconds / 1000),
  nanos: Math.round(milliseconds % 1000) * 1e6,
});
const milliseconds = seconds * 1000;
const window = { warm_up: duration(Math.min(1000, milliseconds / 4)), measure: duration(milliseconds) };

const fabric = new Child(join(target, "perper-fabric"), ["--address", "127.0.0.1:0"], true);
const endpoint = `http://${/[\d.]+:\d+/.exec(await fabric.line())[0]}`;
const context = await connect({ endpoint });

const rust = async (role, options) => {
  const json = JSON.stringify({ [role]: { endpoint, window, ...options } });
  const child = new Child(join(target, "perper-bench"), ["role", json]);
  await child.line();
  return child;
};
const node = async (role, name, ...more) => {
  const args = [join(here, "role.mjs"), role, endpoint, name, ...more.map(String)];
  const child = new Child(process.execPath, args);
  await child.line();
  return child;
};

async function measured(child) {
  child.begin();
  const { count, seconds } = JSON.parse(await child.line());
  return count / seconds;
}

function report(what, rate, of) {
  const share = of === undefined ? "" : `  ${Math.round((100 * rate) / of)} % of Rust to Rust`;
  console.log(`${what.padEnd(40)} ${Math.round(rate).toLocaleString("en").padStart(12)} /s${share}`);
}

async function calls(from, to) {
  const agent = `${from}-${to}`;
  const worker = to === "rust" ? await rust("worker", { agent }) : await node("worker", agent);
  const caller =
    from === "rust"
      ? await rust("caller", { agent, in_flight: IN_FLIGHT, bytes: BYTES })
      : await node("caller", agent, milliseconds, IN_FLIGHT);
  const rate = await measured(caller);
  await caller.end();
  await worker.end();
  return rate;
}

const reference = await calls("rust", "rust");
report("calls, Rust to Rust", reference);
report("calls, Rust to Node", await calls("rust", "node"), reference);
report("calls, Node to Rust", await calls("node", "rust"), reference);
report("calls, Node to Node", await calls("node", "node"), reference);

{
  const worker = await node("worker", "items");
  const stream = await context.withInstance({ agent: "items", instance: "" }).stream("Items").start();
  const listener = await rust("listeners", { stream: stream.stream, count: 1 });
  report("items, Node to Rust", await measured(listener));
  await context.run(() => stream.destroy());
  await listener.end();
  await worker.end("SIGKILL");
}
{
  const stream = await context.blankStream();
  const listener = await node("listener", stream.stream, milliseconds);
  const writer = await rust("writer", { stream: stream.stream, bytes: BYTES });
  const rate = measured(listener);
  writer.begin();
  report("items, Rust to Node", await rate);
  await writer.end("SIGKILL");
  await listener.end();
}

await context.close();
await fabric.end("SIGTERM");
