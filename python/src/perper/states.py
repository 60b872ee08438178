"""State: the dictionary of the current instance, and more dictionaries and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from .ambient import Context, context
from .errors import IndexOutOfRangeError, InvalidArgumentError
from .model import REFERENCES, _Plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

__all__ = ["Dictionary", "DictionaryBatch", "List", "create_dictionary", "create_list", "state"]

CREATE_DICTIONARY, UPDATE_DICTIONARY, ENUMERATE_DICTIONARY, DESTROY_DICTIONARY = 40, 41, 42, 43
CREATE_LIST, UPDATE_LIST, ENUMERATE_LIST, DESTROY_LIST = 50, 51, 52, 53

_NONE: Any = ...
"""Stands for an operand that an operation does not have."""

Operation = tuple[int, Any, Any, Any]
Result = tuple[bool, int, bool, Any]


class Dictionary(_Plain):
    """Keys and values. Each operation is atomic, and so is a `batch`.

    Keys may be booleans, numbers, text, bytes, UUIDs, date-times, references, and tuples of these.
    """

    TYPE: ClassVar[str] = "perper.Dictionary"
    __slots__ = ()

    def __init__(self, dictionary: str) -> None:
        super().__init__(dictionary)

    @property
    def dictionary(self) -> str:
        """The id."""
        return self._id

    def __repr__(self) -> str:
        return f"Dictionary({self._id!r})"

    async def _update(self, operations: list[Operation]) -> tuple[int, list[Result]]:
        answer = await context()._request(UPDATE_DICTIONARY, self._id, operations)
        return cast("tuple[int, list[Result]]", answer)

    async def _one(self, operation: Operation) -> Result | None:
        """What came of one operation; `None` when its condition did not hold."""
        failed, results = await self._update([operation])
        return results[0] if failed < 0 and results else None

    async def _applies(self, operation: Operation) -> bool:
        result = await self._one(operation)
        return result is not None and result[0]

    async def _value(self, operation: Operation, default: Any) -> Any:
        result = await self._one(operation)
        return result[3] if result is not None and result[2] else default

    async def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or the default if it is absent."""
        return await self._value((1, key, _NONE, _NONE), default)

    async def set(self, key: Any, value: Any) -> None:
        """Write an entry."""
        await self._one((2, key, value, _NONE))

    async def set_if_absent(self, key: Any, value: Any) -> bool:
        """Write an entry if the key is absent. False if it was present."""
        return await self._applies((3, key, value, _NONE))

    async def replace_if_equal(self, key: Any, expected: Any, value: Any) -> bool:
        """Write an entry if its present value equals another: a compare-and-set. False if it does not."""
        return await self._applies((4, key, value, expected))

    async def get_and_replace(self, key: Any, value: Any, default: Any = None) -> Any:
        """Write an entry if the key is present, and give the former value."""
        return await self._value((5, key, value, _NONE), default)

    async def get_and_remove(self, key: Any, default: Any = None) -> Any:
        """Remove an entry, and give its value."""
        return await self._value((6, key, _NONE, _NONE), default)

    async def remove(self, key: Any) -> bool:
        """Remove an entry. False if the key was absent."""
        return await self._applies((7, key, _NONE, _NONE))

    async def remove_if_equal(self, key: Any, expected: Any) -> bool:
        """Remove an entry if its present value equals another. False if it does not."""
        return await self._applies((8, key, _NONE, expected))

    async def contains(self, key: Any) -> bool:
        """Whether a key is present."""
        return await self._applies((9, key, _NONE, _NONE))

    async def count(self) -> int:
        """The number of entries."""
        result = await self._one((10, _NONE, _NONE, _NONE))
        return 0 if result is None else result[1]

    async def clear(self) -> None:
        """Remove all entries."""
        await self._one((11, _NONE, _NONE, _NONE))

    def batch(self) -> DictionaryBatch:
        """Several operations that apply whole or not at all."""
        return DictionaryBatch(self)

    def items(self) -> AsyncIterator[tuple[Any, Any]]:
        """Every entry. A key that is present throughout comes exactly once, with a value that it held meanwhile."""
        return self._pages(context())

    def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        return self.items()

    async def _pages(self, current: Context) -> AsyncIterator[tuple[Any, Any]]:
        token = b""
        while True:
            entries, token = await current._request(ENUMERATE_DICTIONARY, self._id, False, 0, token)
            for entry in entries:
                yield entry
            if not token:
                return

    async def destroy(self) -> None:
        """Destroy the dictionary and its entries."""
        await context()._request(DESTROY_DICTIONARY, self._id)


class DictionaryBatch:
    """Operations on a dictionary that apply whole or not at all: nothing happens until `apply`."""

    def __init__(self, of: Dictionary) -> None:
        self._dictionary = of
        self._operations: list[Operation] = []

    def _add(self, *operation: Any) -> DictionaryBatch:
        self._operations.append(cast("Operation", operation))
        return self

    def set(self, key: Any, value: Any) -> DictionaryBatch:
        """Write an entry."""
        return self._add(2, key, value, _NONE)

    def set_if_absent(self, key: Any, value: Any) -> DictionaryBatch:
        """Write an entry; nothing applies if the key is present."""
        return self._add(3, key, value, _NONE)

    def replace_if_equal(self, key: Any, expected: Any, value: Any) -> DictionaryBatch:
        """Write an entry; nothing applies unless its present value equals another."""
        return self._add(4, key, value, expected)

    def remove(self, key: Any) -> DictionaryBatch:
        """Remove an entry."""
        return self._add(7, key, _NONE, _NONE)

    def remove_if_equal(self, key: Any, expected: Any) -> DictionaryBatch:
        """Remove an entry; nothing applies unless its present value equals another."""
        return self._add(8, key, _NONE, expected)

    async def apply(self) -> bool:
        """Apply all of them. False, and nothing has changed, if a condition did not hold."""
        failed, _ = await self._dictionary._update(self._operations)
        return failed < 0


class List(_Plain):
    """Elements in order. Each operation is atomic; both ends cost the same at any length."""

    TYPE: ClassVar[str] = "perper.List"
    __slots__ = ()

    def __init__(self, list: str) -> None:  # noqa: A002
        super().__init__(list)

    @property
    def list(self) -> str:
        """The id."""
        return self._id

    def __repr__(self) -> str:
        return f"List({self._id!r})"

    async def _update(self, operation: int, index: int = 0, value: Any = _NONE) -> tuple[bool, Any, int, int, bool]:
        if index < 0:
            raise IndexOutOfRangeError(f"the index {index} is negative; count from 0")
        answer = await context()._request(UPDATE_LIST, self._id, operation, index, value)
        return cast("tuple[bool, Any, int, int, bool]", answer)

    async def add(self, value: Any) -> int:
        """Append an element at the end, and give its index."""
        return (await self._update(1, 0, value))[2]

    async def pop(self, default: Any = None) -> Any:
        """Take the last element; the default if there is none."""
        present, value, *_ = await self._update(2)
        return value if present else default

    async def dequeue(self, default: Any = None) -> Any:
        """Take the first element; the default if there is none."""
        present, value, *_ = await self._update(3)
        return value if present else default

    async def insert_at(self, index: int, value: Any) -> None:
        """Put an element before the one at an index; the length itself appends."""
        await self._update(4, index, value)

    async def remove_at(self, index: int) -> Any:
        """Take the element at an index."""
        return (await self._update(5, index))[1]

    async def get_at(self, index: int) -> Any:
        """The element at an index."""
        return (await self._update(6, index))[1]

    async def set_at(self, index: int, value: Any) -> None:
        """Write the element at an index."""
        await self._update(7, index, value)

    async def index_of(self, value: Any) -> int | None:
        """The index of the first element equal to a value; `None` if there is none."""
        index = (await self._update(8, 0, value))[2]
        return None if index < 0 else index

    async def contains(self, value: Any) -> bool:
        """Whether an element equals a value."""
        return (await self._update(9, 0, value))[4]

    async def count(self) -> int:
        """The number of elements."""
        return (await self._update(10))[3]

    async def clear(self) -> None:
        """Remove all elements."""
        await self._update(11)

    async def remove(self, value: Any) -> bool:
        """Remove the first element equal to a value. False if there is none."""
        return (await self._update(12, 0, value))[4]

    def items(self) -> AsyncIterator[Any]:
        """Every element, in order."""
        return self._pages(context())

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.items()

    async def _pages(self, current: Context) -> AsyncIterator[Any]:
        token = b""
        while True:
            elements, token = await current._request(ENUMERATE_LIST, self._id, 0, token)
            for element in elements:
                yield element
            if not token:
                return

    async def destroy(self) -> None:
        """Destroy the list and its elements."""
        await context()._request(DESTROY_LIST, self._id)


REFERENCES[Dictionary.TYPE] = Dictionary
REFERENCES[List.TYPE] = List


def state() -> Dictionary:
    """The dictionary of the current instance: its state. It goes with the instance."""
    current = context()
    if not current.instance:
        message = (
            "this context belongs to no instance, so it has no state; use create_dictionary(), or ask from a handler"
        )
        raise InvalidArgumentError(message)
    # It is created with its first use in this process; creating it again changes nothing.
    life = (current.instance, current.incarnation)
    states = current._session.states
    if life not in states:
        states.add(life)
        current._create(CREATE_DICTIONARY, current.instance, current.owner, ())
    return Dictionary(current.instance)


def _identity(current: Context, name: str | None) -> str:
    return current._session.connection.new_id() if name is None else f"{current.instance}/{name}"


def create_dictionary(
    name: str | None = None, *, detached: bool = False, index: Iterable[str] | None = None
) -> Dictionary:
    """Create another dictionary. With a name, the same one each time within the instance.

    It belongs to the current instance; `detached`, it stays until somebody destroys it.
    """
    current = context()
    created = Dictionary(_identity(current, name))
    owner = "" if detached else current.owner
    current._create(CREATE_DICTIONARY, created.dictionary, owner, tuple(index or ()))
    return created


def create_list(name: str | None = None, *, detached: bool = False) -> List:
    """Create a list; as `create_dictionary`."""
    current = context()
    created = List(_identity(current, name))
    current._create(CREATE_LIST, created.list, "" if detached else current.owner)
    return created
