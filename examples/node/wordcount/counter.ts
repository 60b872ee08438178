import { Agent, state, type Stream } from "perper";

/** Words that one change of the state writes at the most: below the limit of 1,000 operations. */
const WORDS = 900;

/** Adds up the tables of every stream, in the state of the instance. */
async function count(tables: Stream<Record<string, number>>[]): Promise<void> {
  const words = new Map<string, number>();
  const add = async (stream: Stream<Record<string, number>>): Promise<void> => {
    for await (const table of stream.replay()) {
      for (const [word, times] of Object.entries(table)) words.set(word, (words.get(word) ?? 0) + times);
    }
  };
  await Promise.all(tables.map(add));
  const all = [...words];
  for (let from = 0; from < all.length; from += WORDS) {
    const batch = state.batch();
    for (const [word, times] of all.slice(from, from + WORDS)) batch.set(word, times);
    await batch.apply();
  }
}

/** The words that stand most often, the most frequent first, equal ones in order of the alphabet. */
async function* top(length: number): AsyncGenerator<[string, number]> {
  const words: [string, number][] = [];
  for await (const [word, times] of state.entries()) words.push([word as string, times as number]);
  words.sort(([word, times], [other, others]) => others - times || (word < other ? -1 : 1));
  yield* words.slice(0, length);
}

export const counter = new Agent("Counter").delegate("Count", count).stream("Top", top);
