"""Names under which Perper 0.8 told how a value was to be written: `(5, LongObject)`.

Values tell their types themselves now, so a hint converts where it can, and says nothing otherwise.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BinaryObject",
    "BoolObject",
    "ByteArrayObject",
    "ByteObject",
    "CharObject",
    "CollectionObject",
    "DateObject",
    "DecimalObject",
    "DoubleObject",
    "FloatObject",
    "Hint",
    "IntObject",
    "LongObject",
    "MapObject",
    "Null",
    "ObjectArrayObject",
    "ShortObject",
    "String",
    "TimestampObject",
    "UUIDObject",
]


class Hint:
    """The second of a pair `(value, hint)`: the pair stands for the value."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return value


class _Integer(Hint):
    @staticmethod
    def _hinted(value: Any) -> Any:
        return value if value is None else int(value)


class _Float(Hint):
    @staticmethod
    def _hinted(value: Any) -> Any:
        return value if value is None else float(value)


class ByteObject(_Integer):
    """An integer."""


class ShortObject(_Integer):
    """An integer."""


class IntObject(_Integer):
    """An integer."""


class LongObject(_Integer):
    """An integer."""


class FloatObject(_Float):
    """A float."""


class DoubleObject(_Float):
    """A float."""


class BoolObject(Hint):
    """A boolean."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return value if value is None else bool(value)


class DecimalObject(Hint):
    """A decimal."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        from decimal import Decimal

        return value if value is None or isinstance(value, Decimal) else Decimal(value)


class UUIDObject(Hint):
    """A UUID."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        from uuid import UUID

        return UUID(value) if isinstance(value, str) else value


class ByteArrayObject(Hint):
    """Bytes."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return value if value is None else bytes(value)


class ObjectArrayObject(Hint):
    """An array; 0.8 had a pair of the array's type and its elements."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return _second(value)


class CollectionObject(ObjectArrayObject):
    """An array; 0.8 had a pair of the collection's type and its elements."""


class MapObject(Hint):
    """A map; 0.8 had a pair of the map's type and its entries."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return _second(value)


def _second(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and type(value[0]) is int and not isinstance(value[1], (int, str)):
        return value[1]
    return value


class String(Hint):
    """Text."""


class CharObject(Hint):
    """Text of one character."""


class DateObject(Hint):
    """A date-time."""


class TimestampObject(Hint):
    """A date-time."""


class BinaryObject(Hint):
    """An object of its own."""


class Null(Hint):
    """Nothing."""

    @staticmethod
    def _hinted(value: Any) -> Any:
        return None
