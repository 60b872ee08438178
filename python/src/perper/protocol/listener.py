"""Listening to streams by hand: batches as they come, a window of one's own, acknowledgements when one says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..ambient import Context, context
from ..errors import InvalidArgumentError
from ..streams import PROCESSED, _Listener

if TYPE_CHECKING:
    from ..errors import PerperError
    from ..model import PerperStream

__all__ = ["ItemsPage", "Listener", "ListenerStart", "attach_listener", "read_items"]

READ = 27


class ListenerStart(NamedTuple):
    """Where a listener began."""

    first_key: int
    """The first key that can come."""
    items_removed: bool
    """Whether items that it was to get have been removed before."""


class ItemsPage(NamedTuple):
    """Some items of a stream, and whether more can follow."""

    entries: list[tuple[int, Any]]
    """Keys and items."""
    ended: bool
    """The stream has ended, and nothing follows these."""
    skipped: int
    """How many gaps a packed stream was left with at its end."""
    error: PerperError | None
    """With what error it ended, if it did."""


class Listener(_Listener):
    """A place in a stream, by hand; see `attach_listener`."""

    def __init__(self, current: Context, stream: PerperStream, name: str | None, window: tuple[int, int]) -> None:
        super().__init__(current, stream, name)
        self._window = window
        self._skipped = 0

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> list[tuple[int, Any]]:
        batch = await self.next_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def __aenter__(self) -> Listener:
        await self.attached()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.detach()

    async def attached(self) -> ListenerStart:
        """Wait until the Fabric has the listener, and tell where it begins."""
        if self._way is None and not self._over:
            await self._attach()
        first_key, removed, _ = self._start
        return ListenerStart(first_key, removed)

    async def next_batch(self) -> list[tuple[int, Any]] | None:
        """Keys and items that have come; `None` at the end of the stream. It says that the last batch is processed."""
        if self._over:
            return None
        try:
            answer = await self._answer()
        except Exception:
            self.detach()
            raise
        if type(answer) is int:
            self._skipped = answer
            self.detach()
            return None
        keys, values = answer
        return list(zip(keys, values, strict=True))

    def processed(self, key: int) -> None:
        """Say that everything through that key is processed, without waiting for the end of its batch."""
        if self._over:
            raise InvalidArgumentError(f"nothing can be acknowledged (key {key}): the listener is detached")
        self._send(PROCESSED, self._number, key)

    def detach(self) -> None:
        """Leave the stream, at once. Nothing more is acknowledged; a named listener goes on there another time."""
        self.close()

    @property
    def skipped(self) -> int:
        """How many gaps of a packed stream there were; known at its end."""
        return self._skipped


def attach_listener(
    stream: PerperStream, listener: str | None = None, *, items: int = 0, held_bytes: int = 0
) -> Listener:
    """Listen to a stream batch by batch.

    ```python
    async with perper.protocol.attach_listener(stream, "billing") as listener:
        async for batch in listener:
            for key, item in batch:
                …
                listener.processed(key)
    ```

    Asking for the next batch says that the last one is processed; `processed` says so earlier. `items` and `held_bytes`
    bound what may wait in this process (0: the usual). It begins where `stream.replay()` and `stream.latest()` say, and a
    named one where it was.
    """
    if items < 0 or held_bytes < 0:
        raise InvalidArgumentError(f"a window is not negative: items={items}, held_bytes={held_bytes}")
    return Listener(context(), stream, listener, (items, held_bytes))


async def read_items(stream: PerperStream, from_key: int | None = None, limit: int = 0) -> ItemsPage:
    """Items as they are now, from a key on (`None`: from the first kept), at most `limit` (0: as many as the Fabric likes).

    It listens to nothing, acknowledges nothing, and keeps nothing from being removed.
    """
    if limit < 0:
        raise InvalidArgumentError(f"a limit is not negative: {limit}")
    current = context()
    pages, end = await current._request(READ, current._number(), stream.stream, from_key, limit)
    entries = [entry for keys, values in pages for entry in zip(keys, values, strict=True)]
    skipped, error = end or (0, None)
    return ItemsPage(entries, end is not None, skipped, error)
