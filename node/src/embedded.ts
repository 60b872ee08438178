import { unlessRefused } from "./errors.js";
import type { Context } from "./extensions/context.js";
import { connect } from "./extensions/functions.js";
import { native, type NativeEmbedded } from "./native.js";
import { hold, letGo } from "./protocol/keep-alive.js";

/** Where a Fabric in this process keeps its data. */
export interface EmbeddedOptions {
  /** The folder; without one, everything is in memory. */
  folder?: string;
}

/** A Fabric in this process, on loopback and a free port. It does not keep the process going. */
export class Embedded {
  readonly #native: NativeEmbedded;

  /** @internal */
  constructor(native: NativeEmbedded) {
    this.#native = native;
  }

  /** Where it is, for `agent.run({ endpoint })`: `http://127.0.0.1:port`. */
  get endpoint(): string {
    return this.#native.endpoint;
  }

  /** Connects to it; the context is the default from then on, as with `connect`. */
  connect(): Promise<Context> {
    return connect({ endpoint: this.endpoint });
  }

  /** Ends it. What is in memory is brought to disk where there is a folder. */
  async shutdown(): Promise<void> {
    const refused = await this.#native.shutdown();
    if (refused != null) unlessRefused(refused);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }
}

/** Starts a Fabric in this process: for tests of applications, and for programs that need no server beside them. */
export async function embedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  hold();
  try {
    return new Embedded(unlessRefused(await native.embedded(options.folder)));
  } finally {
    letGo();
  }
}
