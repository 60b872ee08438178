import type { LinkedStream } from "./activation.js";
import { Keyed } from "./results.js";
import type { Invocation } from "../extensions/invocation.js";
import { StreamWriter } from "../extensions/writer.js";
import type { Port } from "../protocol/port.js";

type Steps = AsyncIterator<unknown> | Iterator<unknown>;

/** The iterator of what can be gone through; undefined for anything else. A text is an item, not its characters. */
export function stepsOf(returned: unknown): Steps | undefined {
  if (typeof returned !== "object" || returned === null) return undefined;
  if (Symbol.asyncIterator in returned) return (returned as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  if (Symbol.iterator in returned) return (returned as Iterable<unknown>)[Symbol.iterator]();
  return undefined;
}

/** Writes what a generator yields to its stream, to the end; what it yielded before an error is written, too. */
export async function generate(
  steps: Steps,
  linked: LinkedStream,
  invocation: Invocation,
  port: Port,
): Promise<void> {
  const writer = new StreamWriter(port, invocation.id, linked.stream, linked.stride);
  let { skip } = linked;
  let over = false;
  try {
    try {
      for (;;) {
        // Awaited whether it is a promise or not: an endless plain generator leaves others their turn.
        const step = await steps.next();
        if (step.done) {
          over = true;
          break;
        }
        if (invocation.cancelled !== undefined) return;
        if (skip > 0) {
          skip -= 1;
          continue;
        }
        const item: unknown = step.value;
        const room = item instanceof Keyed ? writer.put(item.value, item.key) : writer.put(item, undefined);
        if (room !== undefined) await room;
      }
    } finally {
      // As `for await` does: a generator that is left runs its `finally`.
      if (!over) await steps.return?.();
      if (invocation.cancelled === undefined) await writer.flush();
    }
  } finally {
    writer.release();
  }
}
