// Values in JSON, as conformance/README.md of the repository writes them.
import { Agent, Decimal, Dictionary, Execution, Instant, List, Stream, Tagged, Uuid } from "perper";

/** JSON whose integers are exact: what a number of JavaScript cannot hold becomes `{"$int": "…"}`. */
export function parse(text) {
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) =>
    token.startsWith('"') ? token : `{"$int":"${token}"}`,
  );
  return JSON.parse(exact);
}

/** JSON in which a bigint is an integer. */
export function print(json) {
  if (typeof json === "bigint") return String(json);
  if (Array.isArray(json)) return `[${json.map(print).join(",")}]`;
  if (typeof json === "object" && json !== null) {
    const members = Object.entries(json).filter(([, member]) => member !== undefined);
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${print(member)}`).join(",")}}`;
  }
  return JSON.stringify(json ?? null);
}

/** An integer that may have been too large. */
export function integer(json) {
  return typeof json === "object" && json !== null ? BigInt(json.$int) : json;
}

/** The value that JSON tells. */
export function fromJson(json) {
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json !== "object" || json === null) return json;
  const tag = Object.keys(json).find((name) => name.startsWith("$"));
  if (tag === undefined) {
    return Object.fromEntries(Object.entries(json).map(([name, member]) => [name, fromJson(member)]));
  }
  const content = json[tag];
  switch (tag) {
    case "$int":
      return BigInt(content);
    case "$float":
      return Number(content);
    case "$bytes":
      return new Uint8Array(Buffer.from(content, "hex"));
    case "$map":
      return new Map(content.map(([key, value]) => [fromJson(key), fromJson(value)]));
    case "$datetime":
      return Instant.from(content);
    case "$uuid":
      return Uuid.from(content);
    case "$decimal":
      return Decimal.from(content);
    case "$set":
      return new Set(content.map(fromJson));
    case "$tagged":
      return new Tagged(content[0], fromJson(content[1]));
    default:
      return reference(tag, json);
  }
}

function reference(tag, { [tag]: id, ...others }) {
  const { instance, start, stride, localToData, ...unknown } = others;
  const options = new Map(Object.entries(unknown).map(([name, value]) => [name, fromJson(value)]));
  switch (tag) {
    case "$agent":
      return new Agent(id, instance ?? "", options);
    case "$stream": {
      const from = start === undefined ? undefined : BigInt(integer(start));
      return new Stream(id, { start: from, stride, localToData, options });
    }
    case "$execution":
      return new Execution(id, options);
    case "$dictionary":
      return new Dictionary(id, options);
    case "$list":
      return new List(id, options);
    default:
      throw new TypeError(`${tag} is no kind of value that the notation knows`);
  }
}

/** The value as JSON. */
export function toJson(value) {
  switch (typeof value) {
    case "undefined":
      return null;
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : { $int: String(value) };
    case "number":
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return value;
      return { $float: Object.is(value, -0) ? "-0.0" : String(value) };
    case "object":
      return value === null ? null : objectToJson(value);
    default:
      return value;
  }
}

function objectToJson(value) {
  const all = (values) => Array.from(values, toJson);
  if (Array.isArray(value)) return all(value);
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
  if (value instanceof Map) return { $map: Array.from(value, all) };
  if (value instanceof Set) return { $set: all(value) };
  if (value instanceof Instant) return { $datetime: String(value) };
  if (value instanceof Uuid) return { $uuid: String(value) };
  if (value instanceof Decimal) return { $decimal: String(value) };
  if (value instanceof Tagged) return { $tagged: [value.tag, toJson(value.content)] };
  const options = () =>
    Object.fromEntries(Array.from(value.options, ([name, option]) => [name, toJson(option)]));
  if (value instanceof Agent)
    return { $agent: value.agent, instance: value.instance || undefined, ...options() };
  if (value instanceof Stream) {
    const { stream: $stream, start, stride, localToData } = value;
    return {
      $stream,
      start,
      stride: stride || undefined,
      localToData: localToData || undefined,
      ...options(),
    };
  }
  if (value instanceof Execution) return { $execution: value.execution, ...options() };
  if (value instanceof Dictionary) return { $dictionary: value.dictionary, ...options() };
  if (value instanceof List) return { $list: value.list, ...options() };
  const members = Object.entries(value);
  if (members.some(([name]) => name.startsWith("$"))) {
    return { $map: members.map(([name, member]) => [name, toJson(member)]) };
  }
  return Object.fromEntries(members.map(([name, member]) => [name, toJson(member)]));
}
