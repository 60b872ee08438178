import { isMainThread } from "node:worker_threads";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Calls `stop` when the process is told to stop. Only the first time: whoever asks again does not want to wait, and gets
 * what Node does by itself. Gives what takes it back. Worker threads are not told; their parent aborts their signal.
 */
export function onStop(stop: () => void): () => void {
  if (!isMainThread) return () => undefined;
  const off = (): void => {
    for (const signal of SIGNALS) process.off(signal, heard);
  };
  const heard = (): void => {
    off();
    stop();
  };
  for (const signal of SIGNALS) process.on(signal, heard);
  return off;
}
