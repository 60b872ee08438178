"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.toReference = exports.Reference = void 0;
exports.register = register;
exports.fromReference = fromReference;
exports.rest = rest;
/** A reference of a type that this version does not know. Those that it does know are classes: `Stream`, `Agent`, … */
class Reference {
  type;
  id;
  options;
  constructor(type, id, options = new Map()) {
    this.type = type;
    this.id = id;
    this.options = options;
  }
}
exports.Reference = Reference;
/** How a class of the model becomes a reference. */
exports.toReference = Symbol("perper.toReference");
/** Classes of the model by the name of their type; each enters itself. */
const types = new Map();
function register(type, make) {
  types.set(type, make);
}
function fromReference(reference) {
  const make = types.get(reference.type);
  return make === undefined ? reference : make(reference);
}
/** Options without those of that name, as a class keeps what it does not know. */
function rest(options, ...known) {
  const others = new Map(options);
  for (const name of known) others.delete(name);
  return others;
}
