import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after } from "node:test";

import { embedded, type Agent, type Embedded, type RunningAgent, type RunOptions } from "perper";

/** A Fabric for the tests of one file, and agents on it; all end with the file. */
export async function fixture(): Promise<{
  fabric: Embedded;
  serve: (agent: Agent, options?: RunOptions) => Promise<RunningAgent>;
}> {
  const fabric = await embedded();
  const running: RunningAgent[] = [];
  after(async () => {
    for (const agent of running) await agent.stop();
    await fabric.shutdown();
  });
  return {
    fabric,
    serve: async (agent, options = {}) => {
      const started = await agent.start({ endpoint: fabric.endpoint, ...options });
      running.push(started);
      return started;
    },
  };
}

/** A process of its own: one of the programs beside this file. */
export class Program {
  readonly process: ChildProcess;
  #out = "";
  #error = "";
  readonly #waiting: { text: string; resolve: () => void }[] = [];
  readonly #closed: Promise<unknown>;

  constructor(program: string, endpoint: string, ...args: string[]) {
    const path = fileURLToPath(new URL(`../programs/${program}.mjs`, import.meta.url));
    this.process = spawn(process.execPath, [path, ...args], {
      env: { ...process.env, PERPER_FABRIC_ENDPOINT: endpoint },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.on("data", (data: Buffer) => {
      this.#out += data.toString();
      for (const waiting of [...this.#waiting]) if (this.#out.includes(waiting.text)) waiting.resolve();
    });
    this.process.stderr?.on("data", (data: Buffer) => (this.#error += data.toString()));
    this.#closed = once(this.process, "close");
    after(() => this.process.kill("SIGKILL"));
  }

  /** Waits until it has said something. */
  async says(text: string): Promise<void> {
    if (this.#out.includes(text)) return;
    const exited = once(this.process, "exit").then(() => {
      throw new Error(`it ended without saying ${JSON.stringify(text)}: ${this.#out}${this.#error}`);
    });
    exited.catch(() => undefined);
    const said = new Promise<void>((resolve) => this.#waiting.push({ text, resolve }));
    await Promise.race([said, exited]);
  }

  /** Waits until it has ended; gives all that it has said, and how it ended. */
  async ended(): Promise<{ out: string; error: string; code: number | null; signal: NodeJS.Signals | null }> {
    // What it has said last may come after its exit.
    await this.#closed;
    const { exitCode: code, signalCode: signal } = this.process;
    return { out: this.#out, error: this.#error, code, signal };
  }
}

/** A promise with its ends. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
