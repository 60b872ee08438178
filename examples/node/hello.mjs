// A greeting, streamed character by character from one process to another.
//
//     node hello.mjs greeter          in one terminal
//     node hello.mjs printer World    in another
//
// Either may be started first: both wait for the Fabric, and calls wait for whoever answers them.
import { Agent, callAgent, connect } from "perper";

/** A handler that yields fills a stream: it runs while somebody listens. */
async function* greet(name) {
  yield* `Hello, ${name}!\n`;
}

async function print(name) {
  await connect();
  // What comes back is a reference; the characters stay where they are until somebody listens.
  const greeting = await callAgent("Greeter", "Greet", name);
  for await (const character of greeting) process.stdout.write(character);
}

const [role, name = "World"] = process.argv.slice(2);
if (role === "greeter") {
  await new Agent("Greeter").stream("Greet", greet).run();
} else if (role === "printer") {
  await print(name);
} else {
  console.error("usage: node hello.mjs greeter | node hello.mjs printer [NAME]");
  process.exitCode = 2;
}
