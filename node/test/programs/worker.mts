// An agent process: `worker NAME`.
import { once } from "node:events";

import { Agent, call, context, results, state } from "perper";

const name = process.argv[2] ?? "";

process.on("unhandledRejection", (reason) => {
  console.error("unhandled", reason);
  process.exit(70);
});

await new Agent("Worker")
  .delegate("Name", () => name)
  .delegate("Work", async () => {
    console.log("working");
    if (name === "first") await new Promise(() => undefined);
    return results(name, context().attempt);
  })
  .delegate("Finish", async () => {
    await state.set("begun", true);
    // Heard here after the agent has, which listens since it runs.
    const stopping = once(process, "SIGTERM");
    console.log("finishing");
    await stopping;
    return call("Name");
  })
  .onDeploy(() => console.log("ready"))
  .run({ grace: 10_000 });
console.log("over");
