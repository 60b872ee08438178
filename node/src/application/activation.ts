import type { Reader } from "../protocol/reader.js";

/** The stream that an execution is to fill. */
export interface LinkedStream {
  stream: string;
  stride: number;
  /** Items that were yielded in a former activation, and are not to be written again. */
  skip: number;
}

/** What the core hands out. */
export interface Activation {
  id: number;
  /** 0 a delegate, 1 Deploy, 2 Upgrade, 3 EnterContainer. */
  what: number;
  attempt: number;
  incarnation: number;
  /** Milliseconds; 0 for no deadline. */
  remaining: number;
  execution: string;
  agent: string;
  instance: string;
  delegate: string;
  /** Undefined where there is no trace. */
  traceparent: string | undefined;
  headers: Record<string, string>;
  linked: LinkedStream | undefined;
}

/** Reads everything but the arguments, which come next. */
export function readActivation(reader: Reader): Activation {
  const id = reader.u64();
  const what = reader.u8();
  const attempt = reader.u32();
  const incarnation = reader.u64();
  const remaining = reader.u64();
  const execution = reader.text();
  const agent = reader.text();
  const instance = reader.text();
  const delegate = reader.text();
  const trace = reader.text();
  // tracestate: the core sends it on by itself.
  reader.text();
  const headers = reader.pairs();
  const linked = reader.bool() ? readLinked(reader) : undefined;
  return {
    id,
    what,
    attempt,
    incarnation,
    remaining,
    execution,
    agent,
    instance,
    delegate,
    traceparent: trace === "" ? undefined : trace,
    headers,
    linked,
  };
}

function readLinked(reader: Reader): LinkedStream {
  const stream = reader.text();
  reader.bool();
  reader.i64();
  reader.u64();
  const stride = reader.u64();
  reader.i64();
  return { stream, stride, skip: reader.u64() };
}
