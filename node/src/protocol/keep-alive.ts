/**
 * Keeps the process going while something runs: an agent, or a request that somebody waits for. A connection alone does
 * not. A timer is the one thing that Node lets JavaScript hold the event loop with; this one never does anything.
 */
const LONGEST = 2 ** 31 - 1;
const timer = setInterval(() => undefined, LONGEST).unref();
let holders = 0;

export function hold(): void {
  if (holders++ === 0) timer.ref();
}

export function letGo(): void {
  if (--holders === 0) timer.unref();
}
