import { ClosedError, type PerperError } from "../errors.js";
import type { NativePort } from "../native.js";
import { Writer } from "../values/writer.js";
import { hold, letGo } from "./keep-alive.js";
import { Operation } from "./operations.js";
import { Reader } from "./reader.js";

/** So much is taken at once, about; handlers and readers then have their turn before the next. */
const BATCH_BYTES = 1 << 18;

/**
 * How much one turn takes. With all that waits, a caller's calls would go around as one lump, each process idle while
 * another has it; in parts, the answers to the first are on their way while the rest is worked on.
 */
const TAKEN_BYTES = 24 << 10;

/** Whoever has something to add before a batch goes. */
export interface Pumped {
  pump(): void;
}

/** A request without its answer. */
interface Pending {
  read: (reader: Reader) => unknown;
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

/** Takes what is no answer: activations, cancellations, the shutdown. */
export interface Listening {
  event(kind: number, reader: Reader): void;
}

/**
 * The core, as this event loop sees it: what is asked within one turn goes as one batch, what has come is taken as one.
 */
export class Port {
  #native: NativePort | undefined;
  readonly #out = new Writer(1 << 16);
  readonly #requests = new Map<number, Pending>();
  readonly #dirty = new Set<Pumped>();
  readonly #listening: Listening | undefined;
  /** Records that came up while another was being written: by a getter, or a `toJSON`. */
  readonly #afterwards: Buffer[] = [];
  #writing = false;
  #nextNumber = 1;
  #scheduled = false;
  #draining = false;
  #closed: PerperError | undefined;

  constructor(open: (wake: () => void) => NativePort, listening?: Listening) {
    this.#listening = listening;
    this.#native = open(() => this.#wake());
  }

  /** A number for something of ours: a request, a writer, a listener. */
  newNumber(): number {
    return this.#nextNumber++;
  }

  /** Asks for something. The promise is settled when the answer has come, and nothing else is kept of the request. */
  request<T>(operation: number, write: (out: Writer) => void, read: (reader: Reader) => T): Promise<T> {
    return this.begin(operation, write, read).answer;
  }

  /** As `request`, with what it takes to give it up. */
  begin<T>(
    operation: number,
    write: (out: Writer) => void,
    read: (reader: Reader) => T,
  ): { answer: Promise<T>; cancel: (reason: unknown) => void } {
    const number = this.newNumber();
    this.send(operation, write, number);
    let cancel!: (reason: unknown) => void;
    const answer = new Promise<T>((resolve, reject) => {
      if (this.#requests.size === 0) hold();
      this.#requests.set(number, { read, resolve, reject });
      cancel = (reason) => {
        if (!this.#requests.has(number)) return;
        this.#forget(number);
        this.send(Operation.cancel, (out) => out.u64(number));
        reject(reason);
      };
    });
    return { answer, cancel };
  }

  /** Tells something that has no answer, or whose answer nobody waits for. */
  send(operation: number, write: (out: Writer) => void, request = 0): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#writing) {
      const aside = new Writer(256);
      record(aside, operation, request, write);
      this.#afterwards.push(aside.bytes());
      return;
    }
    const out = this.#out;
    this.#writing = true;
    try {
      record(out, operation, request, write);
    } finally {
      this.#writing = false;
      for (const aside of this.#afterwards.splice(0)) out.raw(aside);
    }
    if (out.length >= BATCH_BYTES) this.#submit();
    else this.#schedule();
  }

  /** Has something to say before the next batch goes. */
  pumpLater(pumped: Pumped): void {
    this.#dirty.add(pumped);
    this.#schedule();
  }

  /** Fails what waits, and whatever is asked from now on. */
  close(error: PerperError = new ClosedError("this connection has been closed")): void {
    if (this.#closed !== undefined) return;
    this.#flush();
    this.#closed = error;
    const waiting = [...this.#requests.values()];
    if (this.#requests.size > 0) letGo();
    this.#requests.clear();
    for (const request of waiting) request.reject(error);
    this.#native?.close();
    this.#native = undefined;
  }

  #forget(number: number): void {
    if (this.#requests.delete(number) && this.#requests.size === 0) letGo();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  /** Once per turn of the event loop, while there is anything to do. */
  readonly #turn = (): void => {
    this.#scheduled = false;
    this.#flush();
    if (this.#draining) this.#drain();
  };

  #flush(): void {
    if (this.#dirty.size > 0) {
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const pumped of dirty) pumped.pump();
    }
    if (this.#out.length > 0) this.#submit();
  }

  #submit(): void {
    const batch = this.#out.bytes();
    this.#native?.submit(batch);
    this.#out.reset();
  }

  #wake(): void {
    // A turn that is on its way takes it.
    this.#draining = true;
    if (!this.#scheduled) this.#drain();
  }

  #drain(): void {
    const batch = this.#native?.drain(TAKEN_BYTES);
    if (batch == null) {
      this.#draining = false;
      return;
    }
    // More may wait; but first what came has its turn.
    this.#schedule();
    this.#take(batch);
  }

  #take(batch: Buffer): void {
    const reader = new Reader(batch);
    while (reader.at < batch.length) {
      const end = reader.u32() + reader.at;
      const kind = reader.u8();
      if (kind === 3) this.#answer(reader);
      else this.#listening?.event(kind, reader);
      // Later versions of the core append to records.
      reader.at = end;
    }
  }

  #answer(reader: Reader): void {
    const number = reader.u64();
    const request = this.#requests.get(number);
    // Given up meanwhile.
    if (request === undefined) return;
    this.#forget(number);
    try {
      if (reader.u8() !== 0) {
        request.reject(reader.error());
        return;
      }
      // The kind of answer: each request has one.
      reader.u8();
      request.resolve(request.read(reader) as never);
    } catch (error) {
      request.reject(error);
    }
  }
}

/** Writes one record, or nothing if that fails. */
function record(out: Writer, operation: number, request: number, write: (out: Writer) => void): void {
  const start = out.length;
  out.u32(0);
  out.u8(operation);
  out.u64(request);
  try {
    write(out);
  } catch (error) {
    out.length = start;
    throw error;
  }
  out.patch(start, out.length - start - 4);
}
