import { AsyncResource } from "node:async_hooks";

import { CancelledError, type PerperError } from "../errors.js";

/** One run of a handler, from its activation to its outcome. */
export class Invocation {
  /** The core's number for it: the answer to whose child, whose deadline, whose trace. */
  readonly id: number;
  readonly delegate: string;
  readonly execution: string;
  readonly attempt: number;
  readonly incarnation: number;
  readonly traceparent: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** It has an outcome: what still runs on its behalf has no parent any more. */
  ended = false;
  /** Why it was cancelled. */
  cancelled: PerperError | undefined;
  #controller: AbortController | undefined;
  /** Aborts it, in the context of whoever asked for the signal first. */
  #abort: ((reason: PerperError) => void) | undefined;
  /** What waits on its behalf, each with how to give it up. */
  readonly #waiting = new Set<(reason: unknown) => void>();

  constructor(
    of: Pick<
      Invocation,
      "id" | "delegate" | "execution" | "attempt" | "incarnation" | "traceparent" | "headers"
    >,
  ) {
    this.id = of.id;
    this.delegate = of.delegate;
    this.execution = of.execution;
    this.attempt = of.attempt;
    this.incarnation = of.incarnation;
    this.traceparent = of.traceparent;
    this.headers = of.headers;
  }

  /** Made when somebody asks: most handlers never do, and it costs as much as the rest of a call. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = (this.#controller = new AbortController());
      // What listens to it is the handler's, and is to find the handler's context, not that of the agent's loop.
      this.#abort = AsyncResource.bind((reason: PerperError) => {
        controller.abort(reason);
      });
      if (this.cancelled !== undefined) this.#abort(this.cancelled);
    }
    return this.#controller.signal;
  }

  /** Its reservation is over: whatever it waits for is given up, and `signal` tells the rest. */
  cancel(reason: PerperError): void {
    if (this.cancelled !== undefined || this.ended) return;
    this.cancelled = reason;
    this.ended = true;
    for (const giveUp of [...this.#waiting]) giveUp(cancelledAt(reason));
    this.#waiting.clear();
    this.#abort?.(reason);
  }

  /** Notes something that waits. */
  waits(giveUp: (reason: unknown) => void): void {
    this.#waiting.add(giveUp);
  }

  waitsNoMore(giveUp: (reason: unknown) => void): void {
    this.#waiting.delete(giveUp);
  }
}

/** The reason, as an error of the place that waited: with its stack. */
export function cancelledAt(reason: PerperError): PerperError {
  return new CancelledError(reason.message, { cause: reason.cause });
}
