import { open } from "node:fs/promises";

import { Agent } from "perper";

/**
 * Lines of files, one after the other. Words are ASCII, so whatever else a file holds only separates them: it is read as
 * Latin-1, which takes every byte.
 */
async function* lines(files: string[]): AsyncGenerator<string> {
  for (const name of files) {
    await using file = await open(name);
    yield* file.readLines({ encoding: "latin1" });
  }
}

export const reader = new Agent("Reader").stream("Lines", lines, {
  // Each tokenizer can begin at the beginning whenever it comes, and keys are the numbers of lines.
  persistent: true,
  packed: true,
  // Reading again gives the same lines: what the stream has already is skipped.
  resume: "skip",
});
