const TEXT = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const SMALLEST = -(2 ** 31);
const LARGEST = 2 ** 31 - 1;

/** A decimal number, exact: `coefficient` · 10^`exponent`. It does not calculate; hand it to a library that does. */
export class Decimal {
  readonly coefficient: bigint;
  readonly exponent: number;

  constructor(coefficient: bigint, exponent: number) {
    if (!Number.isInteger(exponent) || exponent < SMALLEST || exponent > LARGEST) {
      throw new RangeError(`the exponent ${exponent} of a decimal does not fit in 32 bits`);
    }
    this.coefficient = coefficient;
    this.exponent = exponent;
  }

  /** From a text such as `1.50` or `-2e10`, or from an integer. */
  static from(value: string | number | bigint | Decimal): Decimal {
    if (value instanceof Decimal) return value;
    if (typeof value === "bigint") return new Decimal(value, 0);
    const parts = TEXT.exec(String(value));
    const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts ?? [];
    if (parts === null || whole + fraction === "") {
      throw new RangeError(`${JSON.stringify(String(value))} is no decimal; write it as -12.50 or 3e10`);
    }
    const coefficient = BigInt(whole + fraction);
    return new Decimal(sign === "-" ? -coefficient : coefficient, Number(exponent) - fraction.length);
  }

  /** Whether it is the same number: 1.0 and 1.00 are. */
  equals(other: Decimal): boolean {
    const [a, b] = [this.#normal(), other.#normal()];
    return a.coefficient === b.coefficient && a.exponent === b.exponent;
  }

  #normal(): Decimal {
    if (this.coefficient === 0n) return new Decimal(0n, 0);
    let { coefficient, exponent } = this;
    while (coefficient % 10n === 0n && exponent < LARGEST) {
      coefficient /= 10n;
      exponent += 1;
    }
    return new Decimal(coefficient, exponent);
  }

  /** The nearest number. */
  toNumber(): number {
    return Number(`${this.coefficient}e${this.exponent}`);
  }

  toString(): string {
    const { coefficient, exponent } = this;
    if (exponent === 0) return String(coefficient);
    if (exponent > 0 || exponent < -1000) return `${coefficient}e${exponent}`;
    const sign = coefficient < 0n ? "-" : "";
    const digits = String(coefficient < 0n ? -coefficient : coefficient).padStart(1 - exponent, "0");
    return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Decimal(${this.toString()})`;
  }
}
