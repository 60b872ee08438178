import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Agent processes that this one has started. They end with it. */
export class Processes {
  readonly #children: ChildProcess[] = [];

  /** Starts a process that serves an agent. */
  start(agent: string): void {
    const program = process.argv[1] ?? "";
    this.#children.push(
      spawn(process.execPath, [program, "--agent", agent], { stdio: ["ignore", "ignore", "inherit"] }),
    );
  }

  /** Asks all of them to finish, and waits until they have. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#children.map((child) => once(child, "exit"));
    for (const child of this.#children) child.kill("SIGTERM");
    await Promise.all(ended);
  }
}
