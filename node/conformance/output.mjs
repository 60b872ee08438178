// What the peer says, and the gate at which handlers wait.
import { tryContext } from "perper";

import { print } from "./notation.mjs";

export const name = process.env.PERPER_CONFORMANCE_NAME ?? "";

/** One line of JSON, at once. */
export function line(json) {
  process.stdout.write(`${print(json)}\n`);
}

/** Tells of a handler. */
export function event(event, detail = null) {
  line({ event, instance: tryContext()?.instance ?? null, detail });
}

/** Open at first. */
export const gate = {
  closed: false,
  waiting: [],
  hold() {
    this.closed = true;
  },
  release() {
    this.closed = false;
    for (const pass of this.waiting.splice(0)) pass();
  },
  async pass() {
    if (this.closed) await new Promise((pass) => this.waiting.push(pass));
  },
};
