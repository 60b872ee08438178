// Counts the words of text files, with agents in five processes.
//
//     node build/wordcount/main.js FILE…
//
// A reader streams the lines. Three instances of a tokenizer, each in a process of its own, share them and stream the
// counts of each line. A counter adds them up in its state; then the top of the table. A word is a run of ASCII letters,
// in lower case: what `tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]'` says.
import { type Agent, callAgent, connect, startAgent, type Stream } from "perper";

import { counter } from "./counter.js";
import { Processes } from "./processes.js";
import { reader } from "./reader.js";
import { type Table, tokenizer } from "./tokenizer.js";

/** Words in the table. */
const TOP = 20;
/** Instances of the tokenizer. */
const TOKENIZERS = 3;

async function count(files: string[]): Promise<void> {
  await using _context = await connect();
  await using processes = new Processes();
  for (const agent of ["Reader", "Tokenizer", "Tokenizer", "Tokenizer", "Counter"]) processes.start(agent);

  const lines = await callAgent<Stream<string>>("Reader", "Lines", files);
  const tokenizers: Agent[] = [];
  const tables: Stream<Table>[] = [];
  for (let part = 0; part < TOKENIZERS; part += 1) {
    const [instance] = await startAgent("Tokenizer");
    tables.push(await instance.call<Stream<Table>>("Tables", lines, part, TOKENIZERS));
    tokenizers.push(instance);
  }
  const [instance] = await startAgent("Counter");
  await instance.call("Count", tables);
  for await (const [word, count] of await instance.call<Stream<[string, number]>>("Top", TOP)) {
    console.log(`${String(count).padStart(7)} ${word}`);
  }

  // With the instances goes what they own: the streams, the totals.
  for (const agent of [...tokenizers, instance]) await agent.stop();
  await lines.destroy();
}

const agents: Record<string, Agent> = { Reader: reader, Tokenizer: tokenizer, Counter: counter };
const [first, ...rest] = process.argv.slice(2);
if (first === "--agent") {
  const agent = agents[rest[0] ?? ""];
  if (agent === undefined) throw new Error(`there is no agent ${rest[0]} here`);
  await agent.run();
} else if (first === undefined) {
  console.error("usage: node build/wordcount/main.js FILE…");
  process.exitCode = 2;
} else {
  await count([first, ...rest]);
}
