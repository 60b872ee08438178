type Cancel = (reason: unknown) => void;

const waiting = new WeakMap<AbortSignal, Set<Cancel>>();

/**
 * Gives something up when a signal is aborted; gives what takes that back. However many wait, the signal has one listener:
 * Node warns of a leak where it has more than ten.
 */
export function giveUpOn(signal: AbortSignal, cancel: Cancel): () => void {
  let cancels = waiting.get(signal);
  if (cancels === undefined) {
    const all = new Set<Cancel>();
    signal.addEventListener(
      "abort",
      () => {
        for (const one of [...all]) one(signal.reason);
      },
      { once: true },
    );
    waiting.set(signal, all);
    cancels = all;
  }
  const noted = cancels;
  noted.add(cancel);
  return () => noted.delete(cancel);
}
