"use strict";
var _a;
Object.defineProperty(exports, "__esModule", { value: true });
exports.Decimal = void 0;
const TEXT = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const SMALLEST = -(2 ** 31);
const LARGEST = 2 ** 31 - 1;
/** A decimal number, exact: `coefficient` · 10^`exponent`. It does not calculate; hand it to a library that does. */
class Decimal {
  coefficient;
  exponent;
  constructor(coefficient, exponent) {
    if (!Number.isInteger(exponent) || exponent < SMALLEST || exponent > LARGEST) {
      throw new RangeError(`the exponent ${exponent} of a decimal does not fit in 32 bits`);
    }
    this.coefficient = coefficient;
    this.exponent = exponent;
  }
  /** From a text such as `1.50` or `-2e10`, or from an integer. */
  static from(value) {
    if (value instanceof _a) return value;
    if (typeof value === "bigint") return new _a(value, 0);
    const parts = TEXT.exec(String(value));
    const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts ?? [];
    if (parts === null || whole + fraction === "") {
      throw new RangeError(`${JSON.stringify(String(value))} is no decimal; write it as -12.50 or 3e10`);
    }
    const coefficient = BigInt(whole + fraction);
    return new _a(sign === "-" ? -coefficient : coefficient, Number(exponent) - fraction.length);
  }
  /** Whether it is the same number: 1.0 and 1.00 are. */
  equals(other) {
    const [a, b] = [this.#normal(), other.#normal()];
    return a.coefficient === b.coefficient && a.exponent === b.exponent;
  }
  #normal() {
    if (this.coefficient === 0n) return new _a(0n, 0);
    let { coefficient, exponent } = this;
    while (coefficient % 10n === 0n && exponent < LARGEST) {
      coefficient /= 10n;
      exponent += 1;
    }
    return new _a(coefficient, exponent);
  }
  /** The nearest number. */
  toNumber() {
    return Number(`${this.coefficient}e${this.exponent}`);
  }
  toString() {
    const { coefficient, exponent } = this;
    if (exponent === 0) return String(coefficient);
    if (exponent > 0 || exponent < -1000) return `${coefficient}e${exponent}`;
    const sign = coefficient < 0n ? "-" : "";
    const digits = String(coefficient < 0n ? -coefficient : coefficient).padStart(1 - exponent, "0");
    return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
  }
  toJSON() {
    return this.toString();
  }
  [Symbol.for("nodejs.util.inspect.custom")]() {
    return `Decimal(${this.toString()})`;
  }
}
exports.Decimal = Decimal;
_a = Decimal;
