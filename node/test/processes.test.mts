import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { Agent, UnavailableError, connect, type Results } from "perper";

import { fixture, Program } from "./support/fixture.mjs";

const { fabric } = await fixture();
const client = await fabric.connect();
const worker = (name: string): Program => new Program("worker", fabric.endpoint, name);

test("a program that is no agent ends by itself when it has nothing to do", async () => {
  const agent = worker("only");
  await agent.says("ready");
  const program = new Program("client", fabric.endpoint);
  assert.deepEqual(await program.ended(), { out: "only\n", error: "", code: 0, signal: null });
  agent.process.kill("SIGTERM");
  assert.equal((await agent.ended()).code, 0);
});

test("on SIGTERM an agent finishes what is in flight, takes nothing more, and ends", async () => {
  const agent = worker("draining");
  await agent.says("ready");
  const finishing = client.callAgent("Worker", "Finish");
  await agent.says("finishing");
  agent.process.kill("SIGTERM");
  // What the handler itself calls is somebody else's now.
  const other = worker("other");
  assert.equal(await finishing, "other");
  const { out, error, code } = await agent.ended();
  assert.deepEqual([out, error, code], ["ready\nfinishing\nover\n", "", 0]);
  other.process.kill("SIGTERM");
  assert.equal((await other.ended()).code, 0);
});

test("what a killed worker had is done by another", async () => {
  const first = worker("first");
  await first.says("ready");
  const called = Promise.all([1, 2, 3].map(() => client.callAgent<Results>("Worker", "Work")));
  await first.says("working\nworking\nworking");
  const second = worker("second");
  await second.says("ready");
  first.process.kill("SIGKILL");
  assert.deepEqual(
    (await called).map((several) => [...several]),
    [
      ["second", 2],
      ["second", 2],
      ["second", 2],
    ],
  );
  second.process.kill("SIGTERM");
  await second.ended();
});

test("each worker thread may have a connection and an agent of its own", async () => {
  const threads = ["one", "two"].map(
    (name) =>
      new Worker(new URL("programs/thread.mjs", import.meta.url), {
        workerData: { endpoint: fabric.endpoint, name },
      }),
  );
  const names = await Promise.all(
    threads.map(async (thread) => ((await once(thread, "message")) as [string])[0]),
  );
  // Either may answer: they serve the same agent.
  for (const name of names) assert.match(name, /^(one|two)$/);
  // One ends orderly; the other is ended with its connection open.
  const [one, two] = threads as [Worker, Worker];
  const exited = once(one, "exit");
  one.postMessage("stop");
  assert.deepEqual(await exited, [0]);
  assert.equal(await client.callAgent(new Agent("Threads"), "Name"), "two");
  await two.terminate();
  // The Fabric and this thread go on.
  const agent = await new Agent("Worker").delegate("Name", () => "main").start({ endpoint: fabric.endpoint });
  assert.equal(await client.callAgent("Worker", "Name"), "main");
  await agent.stop();
});

test("without a Fabric, connecting fails when its time is up", async () => {
  await assert.rejects(connect({ endpoint: "http://127.0.0.1:1", connectTimeout: 200 }), UnavailableError);
});
