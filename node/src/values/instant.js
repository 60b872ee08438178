"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Instant = void 0;
const TEXT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/**
 * A moment, with its offset from UTC and up to nine digits of a second: what a `Date` would lose. It is read from
 * values in place of a `Date`; written, both are the same.
 */
class Instant {
  #text;
  constructor(text) {
    this.#text = text;
  }
  /** From a `Date`, from another `Instant`, or from a text such as `2026-11-25T10:00:00.123456789+02:00`. */
  static from(moment) {
    if (moment instanceof Instant) return moment;
    if (moment instanceof Date) {
      if (Number.isNaN(moment.getTime())) throw new RangeError("this Date is invalid, so it is no moment");
      return Instant.from(moment.toISOString());
    }
    const fault = faultOf(moment);
    if (fault !== undefined) throw new RangeError(`${JSON.stringify(moment)} is no date-time: ${fault}`);
    return new Instant(moment);
  }
  /** The present moment, to the millisecond. */
  static now() {
    return Instant.from(new Date());
  }
  /** Nanoseconds since 1970-01-01T00:00:00Z: the same for equal moments, whatever their offsets. */
  get epochNanoseconds() {
    const [, , , , , , second = "", fraction = "", offset = ""] = TEXT.exec(this.#text) ?? [];
    const whole = this.#text.slice(0, 17) + second + offset;
    return BigInt(Date.parse(whole)) * 1000000n + BigInt(fraction.padEnd(9, "0"));
  }
  /** As a `Date`: without the offset, and without what is below a millisecond. */
  toDate() {
    const milliseconds = this.epochNanoseconds;
    // Rounded down before 1970, too.
    const down = milliseconds / 1000000n - (milliseconds % 1000000n < 0n ? 1n : 0n);
    return new Date(Number(down));
  }
  /** Whether it is the same moment. */
  equals(other) {
    return this.epochNanoseconds === Instant.from(other).epochNanoseconds;
  }
  toString() {
    return this.#text;
  }
  toJSON() {
    return this.#text;
  }
  [Symbol.for("nodejs.util.inspect.custom")]() {
    return `Instant(${this.#text})`;
  }
}
exports.Instant = Instant;
/** Why a text is no date-time, by the rules of values/README.md. */
function faultOf(text) {
  const parts = TEXT.exec(text);
  if (parts === null) return "write it as 2026-11-25T10:00:00Z, with a fraction and an offset if need be";
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = month === 2 && leap ? 29 : (DAYS[month - 1] ?? 0);
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days) return "there is no such day";
  if (hour > 23 || minute > 59 || second > 59) return "there is no such time of day";
  const offset = parts[8] ?? "Z";
  if (offset !== "Z") {
    const [hours = 0, minutes = 0] = offset.slice(1).split(":").map(Number);
    if (hours > 23 || minutes > 59 || offset === "-00:00") return "there is no such offset";
    const utc = new Date(Date.parse(text.slice(0, 19) + offset)).getUTCFullYear();
    if (utc < 1 || utc > 9999) return "in UTC it is not within the years 1 to 9999";
  }
  return undefined;
}
