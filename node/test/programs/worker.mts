// An agent process: `worker NAME`.
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
    console.log("finishing");
    await state.set("begun", true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return call("Name");
  })
  .onDeploy(() => console.log("ready"))
  .run({ grace: 10_000 });
console.log("over");
