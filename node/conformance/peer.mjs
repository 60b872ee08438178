// The peer for Node: what the harness drives to see that this library does what every library must.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

import { connect, tryContext } from "perper";

import { agent } from "./agent.mjs";
import { execute, outcome } from "./commands.mjs";
import { parse } from "./notation.mjs";
import { gate, line } from "./output.mjs";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const about = { language: "javascript", version };
const underWay = new Map();
let serving;

/** What only the process itself can do. */
const commands = {
  connect: async () => {
    await connect();
    return about;
  },
  serve: async () => {
    serving = await agent.start();
    return about;
  },
  shut_down: () => serving?.stop(),
  hold: () => gate.hold(),
  release: () => gate.release(),
  cancel: ({ target }) => {
    const controller = underWay.get(target);
    controller?.abort();
    return controller !== undefined;
  },
};

for await (const text of createInterface({ input: process.stdin })) {
  const command = parse(text);
  const controller = new AbortController();
  underWay.set(command.id, controller);
  const run = () => outcome(execute(command, commands));
  const context =
    command.do in commands ? undefined : tryContext()?.withOptions({ signal: controller.signal });
  const told = context === undefined ? run() : context.run(run);
  void told.then((answer) => {
    underWay.delete(command.id);
    line({ id: command.id, ...answer });
  });
}
process.exit();
