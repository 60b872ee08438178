import { Agent, type Keyed, keyed, type Stream } from "perper";

/** How often each word stands in a line. */
export type Table = Map<string, number> | Record<string, number>;

function count(line: string): Table {
  const table = new Map<string, number>();
  for (const [word] of line.toLowerCase().matchAll(/[a-z]+/g)) table.set(word, (table.get(word) ?? 0) + 1);
  return table;
}

/**
 * The tables of every `parts`-th line, under the number of the line: so that whoever does this again after a crash writes
 * nothing twice.
 */
async function* tables(lines: Stream<string>, part: number, parts: number): AsyncGenerator<Keyed<Table>> {
  for await (const [number, line] of lines.replay().entries()) {
    if (Number(number) % parts === part) yield keyed(number, count(line));
  }
}

export const tokenizer = new Agent("Tokenizer").stream("Tables", tables);
