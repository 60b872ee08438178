"""Values for which Python has no type of its own. `docs/values.md` says what else can be passed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, SupportsIndex

__all__ = ["Elements", "Entries", "Keyed", "Tagged", "Timestamp", "keyed"]


class Tagged(NamedTuple):
    """A value under a CBOR tag that Perper gives no meaning. It is handed on as it came."""

    tag: int
    value: Any


class Entries(tuple[tuple[Any, Any], ...]):
    """The entries of a map that a `dict` cannot hold.

    Either Python takes two of the keys for equal that are different (`1` and `True`), or the map is itself a key.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Entries({list(self)!r})"


class Elements(tuple[Any, ...]):
    """The elements of a set that a `set` cannot hold, since Python takes two of them for equal that are different."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Elements({list(self)!r})"


class Keyed(NamedTuple):
    """An item with its key, for a generator to yield; see `keyed`."""

    key: int
    value: Any


def keyed(key: int, value: Any) -> Keyed:
    """Give an item of a stream its key. A pair of an `int` and a value does the same."""
    return Keyed(key, value)


class Timestamp(datetime):
    """A date-time with up to nine digits of a second: three more, in `nanosecond`, than a `datetime` has."""

    nanosecond = 0

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        reduced: Any = super().__reduce_ex__(protocol)
        return reduced[0], reduced[1], {"nanosecond": self.nanosecond}
