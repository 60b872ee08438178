/** What a reference carries beside its id: members of later versions survive here. */
export type ReferenceOptions = Map<string, unknown>;

/** A reference of a type that this version does not know. Those that it does know are classes: `Stream`, `Agent`, … */
export class Reference {
  readonly type: string;
  readonly id: string;
  readonly options: ReferenceOptions;

  constructor(type: string, id: string, options: ReferenceOptions = new Map()) {
    this.type = type;
    this.id = id;
    this.options = options;
  }
}

/** How a class of the model becomes a reference. */
export const toReference: unique symbol = Symbol("perper.toReference");

export interface Referring {
  [toReference](): Reference;
}

/** Classes of the model by the name of their type; each enters itself. */
const types = new Map<string, (reference: Reference) => unknown>();

export function register(type: string, make: (reference: Reference) => unknown): void {
  types.set(type, make);
}

export function fromReference(reference: Reference): unknown {
  const make = types.get(reference.type);
  return make === undefined ? reference : make(reference);
}

/** Options without those of that name, as a class keeps what it does not know. */
export function rest(options: ReferenceOptions, ...known: string[]): ReferenceOptions {
  const others = new Map(options);
  for (const name of known) others.delete(name);
  return others;
}
