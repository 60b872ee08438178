"""Values, their canonical form and their keys, written from the description in `values/README.md` alone.

This shares no code with the Rust crate: where the two agree on the vectors, the description is right.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Union


@dataclass(frozen=True)
class Map:
    entries: tuple[tuple["Value", "Value"], ...]


@dataclass(frozen=True)
class Set:
    elements: tuple["Value", ...]


@dataclass(frozen=True)
class Tagged:
    tag: int
    content: "Value"


@dataclass(frozen=True)
class Decimal:
    coefficient: int
    exponent: int


@dataclass(frozen=True)
class Uuid:
    bytes: bytes


@dataclass(frozen=True)
class DateTime:
    """Seconds since 1970 and nanoseconds, and how it is written."""

    seconds: int
    nanoseconds: int
    text: str
    utc: str


@dataclass(frozen=True)
class Reference:
    type: str
    id: str
    options: tuple[tuple[str, "Value"], ...] = ()


Value = Union[
    None, bool, int, float, str, bytes, list["Value"], Map, Set, Tagged, Decimal, Uuid, DateTime, Reference
]


def head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for information, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | information]) + argument.to_bytes(size, "big")
    raise ValueError(f"{argument} is no argument of a head")


def encode(value: Value) -> bytes:
    """The bytes a writer writes: order, zeros and offsets kept."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        major, magnitude = (0, value) if value >= 0 else (1, -1 - value)
        if magnitude < 1 << 64:
            return head(major, magnitude)
        return head(6, 2 + major) + encode(magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "big"))
    if isinstance(value, float):
        return bytes.fromhex("fb7ff8000000000000") if math.isnan(value) else b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, Map):
        return head(5, len(value.entries)) + b"".join(encode(k) + encode(v) for k, v in value.entries)
    if isinstance(value, Set):
        return head(6, 258) + encode(list(value.elements))
    if isinstance(value, Tagged):
        return head(6, value.tag) + encode(value.content)
    if isinstance(value, Decimal):
        return head(6, 4) + encode([value.exponent, value.coefficient])
    if isinstance(value, Uuid):
        return head(6, 37) + encode(value.bytes)
    if isinstance(value, DateTime):
        return head(6, 0) + encode(value.text)
    return head(6, 27) + encode([value.type, value.id, Map(value.options)])


def canonical(value: Value) -> bytes:
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return encode(int(value))
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(canonical, value))
    if isinstance(value, Map):
        return head(5, len(value.entries)) + b"".join(sorted(canonical(k) + canonical(v) for k, v in value.entries))
    if isinstance(value, Set):
        return head(6, 258) + head(4, len(value.elements)) + b"".join(sorted(map(canonical, value.elements)))
    if isinstance(value, Tagged):
        return head(6, value.tag) + canonical(value.content)
    if isinstance(value, Decimal):
        coefficient, exponent = value.coefficient, value.exponent
        while coefficient and coefficient % 10 == 0 and exponent < 2**31 - 1:
            coefficient, exponent = coefficient // 10, exponent + 1
        return encode(Decimal(coefficient, exponent if coefficient else 0))
    if isinstance(value, DateTime):
        return head(6, 0) + encode(value.utc)
    if isinstance(value, Reference):
        return head(6, 27) + b"\x83" + encode(value.type) + encode(value.id) + canonical_options(value)
    return encode(value)


def canonical_options(reference: Reference) -> bytes:
    return canonical(Map(tuple((name, value) for name, value in reference.options if name != "capability")))


class NotAKey(Exception):
    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path


def key(value: Value, depth: int = 0) -> bytes:
    if isinstance(value, bool):
        return b"\x11" if value else b"\x10"
    if isinstance(value, (int, float, Decimal)):
        return b"\x20" + number(value)
    if isinstance(value, str):
        return b"\x30" + escaped(value.encode())
    if isinstance(value, bytes):
        return b"\x40" + escaped(value)
    if isinstance(value, DateTime):
        return b"\x50" + struct.pack(">QI", value.seconds + 2**63, value.nanoseconds)
    if isinstance(value, Uuid):
        return b"\x60" + value.bytes
    if isinstance(value, Reference):
        options = escaped(canonical_options(value))
        return b"\x70" + escaped(value.type.encode()) + escaped(value.id.encode()) + options
    if not isinstance(value, list):
        raise NotAKey("not_a_key")
    if depth == 16:
        raise NotAKey("depth")
    out = b"\x80"
    for index, element in enumerate(value):
        try:
            out += key(element, depth + 1)
        except NotAKey as error:
            raise NotAKey(error.reason, f"[{index}]{error.path}") from error
    return out + b"\x00"


def escaped(data: bytes) -> bytes:
    return data.replace(b"\x00", b"\x00\xff") + b"\x00"


def number(value: int | float | Decimal) -> bytes:
    kind = b"\x01" if isinstance(value, Decimal) else b"\x00"
    if isinstance(value, float) and not math.isfinite(value):
        return (b"\x06" if math.isnan(value) else b"\x05" if value > 0 else b"\x01") + kind
    if isinstance(value, Decimal):
        coefficient, exponent = value.coefficient, value.exponent
    elif isinstance(value, int) and not -(2**8192) <= value < 2**8192:
        raise NotAKey("range")
    else:
        # A denominator is a power of two here, so 5 to the same power makes it one of ten.
        fraction = Fraction(value)
        places = fraction.denominator.bit_length() - 1
        coefficient, exponent = fraction.numerator * 5**places, -places
    if coefficient == 0:
        return b"\x03" + kind
    digits = str(abs(coefficient))
    exponent += len(digits)
    digits = digits.rstrip("0")
    digits += "0" * (len(digits) % 2)
    if -64 <= exponent <= 63:
        body = bytes([0x80 + exponent])
    else:
        body = (b"\x3f" if exponent < 0 else b"\xc0") + struct.pack(">Q", exponent + 2**63)
    body += bytes(int(digits[at : at + 2]) + 1 for at in range(0, len(digits), 2)) + b"\x00"
    if coefficient < 0:
        return b"\x02" + bytes(255 - byte for byte in body) + kind
    return b"\x04" + body + kind


def diagnostic(value: Value) -> str:
    """CBOR's diagnostic notation (RFC 8949, section 8)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, list):
        return "[" + ", ".join(map(diagnostic, value)) + "]"
    if isinstance(value, Map):
        return "{" + ", ".join(f"{diagnostic(k)}: {diagnostic(v)}" for k, v in value.entries) + "}"
    if isinstance(value, Set):
        return f"258({diagnostic(list(value.elements))})"
    if isinstance(value, Tagged):
        return f"{value.tag}({diagnostic(value.content)})"
    if isinstance(value, Decimal):
        return f"4([{value.exponent}, {value.coefficient}])"
    if isinstance(value, Uuid):
        return f"37({diagnostic(value.bytes)})"
    if isinstance(value, DateTime):
        return f"0({diagnostic(value.text)})"
    return f"27({diagnostic([value.type, value.id, Map(value.options)])})"
