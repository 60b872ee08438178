import { context } from "../extensions/ambient.js";
import { Operation } from "../protocol/operations.js";
import { nothing, results } from "../protocol/reader.js";
import { Reference, register, toReference, type ReferenceOptions } from "../values/reference.js";

const TYPE = "perper.Execution";

/** A reference to an execution. */
export class Execution {
  readonly execution: string;
  /** What the reference carries beside. */
  readonly options: ReferenceOptions;

  constructor(execution: string, options: ReferenceOptions = new Map()) {
    this.execution = execution;
    this.options = options;
  }

  /** Waits for its results. */
  wait<R = unknown>(): Promise<R> {
    return context().request(
      Operation.waitExecution,
      (out) => out.text(this.execution),
      (reader) => results(reader) as R,
      true,
    );
  }

  /** Cancels it: whoever waits for it gets an `ExecutionCancelledError`. */
  cancel(): Promise<void> {
    return context().request(Operation.cancelExecution, (out) => out.text(this.execution), nothing);
  }

  [toReference](): Reference {
    return new Reference(TYPE, this.execution, this.options);
  }
}

register(TYPE, ({ id, options }) => new Execution(id, options));
