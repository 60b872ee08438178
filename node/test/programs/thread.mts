// In a worker thread: an agent of its own, over a connection of its own.
import { parentPort, workerData } from "node:worker_threads";

import { Agent, call } from "perper";

const { endpoint, name } = workerData as { endpoint: string; name: string };
const agent = await new Agent("Threads").delegate("Name", () => name).start({ endpoint });
const called = await call<string>("Name");
parentPort?.on("message", (message: string) => {
  if (message !== "stop") return;
  void agent.stop().then(() => parentPort?.close());
});
parentPort?.postMessage(called);
