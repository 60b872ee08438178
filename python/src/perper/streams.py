"""Streams: starting, writing, listening."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, cast

from .ambient import Context, context, require_agent
from .errors import FeatureNotSupportedError
from .failures import failure_of
from .model import PerperStream
from .session import BLOCKING, CREATE_EXECUTION, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from . import _native

__all__ = [
    "StreamWriter",
    "complete_stream",
    "create_blank_stream",
    "declare_stream",
    "destroy_stream",
    "enumerate_stream",
    "enumerate_stream_with_keys",
    "get_stream",
    "local_stream",
    "query_stream",
    "remove_listener",
    "replay_stream",
    "start_stream",
    "stream_writer",
    "wait_for_listener",
    "write_stream",
]

CREATE, START, COMPLETE, DESTROY, WAIT_FOR_LISTENER, GET, REMOVE_LISTENER = 20, 21, 22, 23, 24, 25, 26
OPEN_WRITER, FLUSH_WRITER, CLOSE_WRITER, WRITE_ITEM = 30, 32, 33, 34
ATTACH, NEXT, PROCESSED, DETACH = 35, 36, 37, 38

ACKNOWLEDGE_SECONDS = 0.05
"""How long an acknowledgement in the middle of a batch may wait for company."""

Options = tuple[bool, bool, int, int, int, list[str]]


def stream_options(
    *,
    action: bool = False,
    ephemeral: bool = True,
    packed: bool | int = False,
    first_key: int = 0,
    backlog: int = 0,
    index: str | Iterable[str] | None = None,
) -> Options:
    """Options as the core has them: persistent, action, stride, first key, backlog, indexed members."""
    indexed = [index] if isinstance(index, str) else list(index or ())
    return (not ephemeral, action, int(packed), first_key, backlog, indexed)


def _new_stream(current: Context, options: Options, *, declared: bool, execution: str) -> PerperStream:
    stream = PerperStream(current._session.connection.new_id(), stride=options[2])
    current._create(CREATE, stream.stream, options, current.owner, declared, execution)
    return stream


def _start_generator(
    current: Context,
    stream: PerperStream,
    options: Options,
    execution: str,
    delegate: str,
    parameters: tuple[Any, ...],
) -> None:
    # It outlives its maker, so it has an owner instead of a parent, and no deadline.
    current._create(
        CREATE_EXECUTION,
        False,
        0,
        execution,
        current.agent,
        current.instance,
        delegate,
        parameters,
        current._headers(),
        current.owner,
        stream.stream,
        not options[1],
        False,
    )


def start_stream(
    delegate: str,
    *parameters: Any,
    action: bool = False,
    ephemeral: bool = True,
    packed: bool | int = False,
    index: str | Iterable[str] | None = None,
    first_key: int = 0,
    backlog: int = 0,
) -> PerperStream:
    """Start a stream that a delegate of the current instance fills. It returns at once.

    `action` starts the generator without waiting for a listener; `ephemeral=False` keeps items that everybody has
    processed; `packed` makes keys 0, 1, 2… (or, with a number, that far apart), which may be written in any order;
    `backlog` lets writers wait while that many items are unread. Await the stream to be sure that it was created.
    """
    current = context()
    require_agent(current, f"the stream {delegate!r}")
    options = stream_options(
        action=action, ephemeral=ephemeral, packed=packed, index=index, first_key=first_key, backlog=backlog
    )
    execution = current._session.connection.new_id()
    stream = _new_stream(current, options, declared=False, execution=execution)
    try:
        _start_generator(current, stream, options, execution, delegate, parameters)
    except BaseException:
        # Parameters that cannot be encoded: nobody would ever fill it.
        current._create(DESTROY, stream.stream)
        raise
    return stream


def create_blank_stream(
    *,
    ephemeral: bool = True,
    packed: bool | int = False,
    index: str | Iterable[str] | None = None,
    first_key: int = 0,
    backlog: int = 0,
) -> PerperStream:
    """Create a stream that anybody fills who has the reference. It returns at once; await the stream to be sure."""
    options = stream_options(ephemeral=ephemeral, packed=packed, index=index, first_key=first_key, backlog=backlog)
    return _new_stream(context(), options, declared=False, execution="")


def declare_stream(
    delegate: str,
    *,
    action: bool = False,
    ephemeral: bool = True,
    packed: bool | int = False,
    index: str | Iterable[str] | None = None,
    first_key: int = 0,
    backlog: int = 0,
) -> tuple[PerperStream, Callable[..., PerperStream]]:
    """Create a stream whose generator is started later, by calling the second of what is returned.

    So streams can refer to each other in a circle.
    """
    current = context()
    require_agent(current, f"the stream {delegate!r}")
    options = stream_options(
        action=action, ephemeral=ephemeral, packed=packed, index=index, first_key=first_key, backlog=backlog
    )
    stream = _new_stream(current, options, declared=True, execution="")

    def start(*parameters: Any) -> PerperStream:
        execution = current._session.connection.new_id()
        current._create(START, stream.stream, options, execution)
        _start_generator(current, stream, options, execution, delegate, parameters)
        return stream

    return stream, start


def replay_stream(stream: PerperStream, replay: bool = True, replay_from: int = 0) -> PerperStream:
    """The same stream, read from a key on; or, without `replay`, from the latest item on."""
    return stream.replay(replay_from) if replay else stream.latest()


def local_stream(stream: PerperStream, local_to_data: bool = True) -> PerperStream:
    """The same stream, of which only the items are read that are stored where the reader is."""
    return stream.local_to_data(local_to_data)


def enumerate_stream(stream: PerperStream, listener: str | None = None) -> AsyncIterator[Any]:
    """The items of a stream, in order, each once: `async for item in perper.enumerate_stream(stream)`.

    Asking for the next item says that the last one is processed. With the name of a listener the place is kept: whoever
    listens under that name goes on behind what was processed.
    """
    return Items(context(), stream, listener)


def enumerate_stream_with_keys(stream: PerperStream, listener: str | None = None) -> AsyncIterator[tuple[int, Any]]:
    """The items of a stream with their keys; as `enumerate_stream`."""
    return ItemsWithKeys(context(), stream, listener)


class _Listener:
    """A place in a stream, from the first time that somebody asks for an item.

    Not a generator: leaving an `async for` drops the iterator, and what was processed until then is told at once.
    """

    def __init__(self, current: Context, stream: PerperStream, name: str | None) -> None:
        self._context, self._stream, self._name = current, stream, name
        self._way: Way | None = None
        self._asked: asyncio.Future[Any] | None = None
        self._number = 0
        # In items and in bytes; 0 for the usual.
        self._window = (0, 0)
        self._start: tuple[int, bool, Any] = (0, False, None)
        self._keys: list[int] = []
        self._values: list[Any] = []
        self._next = 0
        self._over = False
        # An acknowledgement in the middle of a batch: when it is due, with the next item that is asked for.
        self._due = False
        self._timer: asyncio.TimerHandle | None = None

    async def _more(self) -> None:
        """Get the next batch, or end."""
        if self._over:
            raise StopAsyncIteration
        try:
            answer = await self._answer()
        except asyncio.CancelledError:
            raise
        except Exception:
            self.close()
            raise
        if type(answer) is int:
            self.close()
            raise StopAsyncIteration
        self._keys, self._values = answer
        self._next = 0
        self._wind()

    def _wind(self) -> None:
        if self._timer is None and not BLOCKING.get():
            self._timer = asyncio.get_running_loop().call_later(ACKNOWLEDGE_SECONDS, _ring, weakref.ref(self))

    async def _answer(self) -> Any:
        way = self._way or await self._attach()
        if BLOCKING.get():
            return await way.request(NEXT, self._number)
        # Whoever waits may be cancelled and ask again: the batch that was on its way must not be lost then.
        if self._asked is None:
            self._asked = asyncio.ensure_future(way.request(NEXT, self._number))
        try:
            answer = await asyncio.shield(self._asked)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._asked = None
            raise
        self._asked = None
        return answer

    async def _attach(self) -> Way:
        stream = self._stream
        start = stream._start
        way = self._context._way()
        self._number = way.number()
        try:
            self._start = await way.request(
                ATTACH,
                self._number,
                stream.stream,
                self._name or "",
                self._context.owner,
                0 if start is None else 1 if start == PerperStream.BEGINNING else 2,
                start or 0,
                *self._window,
                stream.localToData,
            )
        except asyncio.CancelledError:
            way.send(DETACH, self._number)
            raise
        self._way = way
        return way

    def _acknowledge(self) -> None:
        """Whoever asks for the next item has processed the one before."""
        self._due = False
        if self._next > 0:
            self._send(PROCESSED, self._number, self._keys[self._next - 1])
        self._wind()

    def _send(self, operation: int, *fields: Any) -> None:
        # At once, from whichever thread drops the iterator: another listener of that name may be about to attach.
        if self._way is not None:
            self._way.port.submit(operation, 0, *fields)
            self._way.port.flush()

    def close(self) -> None:
        """Leave the stream without waiting. What was asked for last is not acknowledged."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._asked is not None and not self._asked.done():
            self._asked.get_loop().call_soon_threadsafe(self._asked.cancel)
        if self._way is not None:
            if 1 < self._next <= len(self._keys):
                self._send(PROCESSED, self._number, self._keys[self._next - 2])
            self._send(DETACH, self._number)
        self._keys, self._values, self._next = [], [], 0

    async def aclose(self) -> None:
        """As `close`; for `contextlib.aclosing`."""
        self.close()

    def __del__(self) -> None:
        # The loop, the process or the interpreter may be over, and the listener with it.
        with contextlib.suppress(Exception):
            self.close()


def _ring(listener: weakref.ref[_Listener]) -> None:
    # A timer that held it would keep it from being dropped.
    due = listener()
    if due is not None:
        due._due, due._timer = True, None


class Items(_Listener):
    """The items of a stream; see `enumerate_stream`."""

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> Any:
        while True:
            index = self._next
            if index < len(self._values):
                if self._due:
                    self._acknowledge()
                self._next = index + 1
                return self._values[index]
            await self._more()


class ItemsWithKeys(_Listener):
    """The items of a stream with their keys; see `enumerate_stream_with_keys`."""

    def __aiter__(self) -> ItemsWithKeys:
        return self

    async def __anext__(self) -> tuple[int, Any]:
        while True:
            index = self._next
            if index < len(self._values):
                if self._due:
                    self._acknowledge()
                self._next = index + 1
                return self._keys[index], self._values[index]
            await self._more()


def query_stream(stream: PerperStream, type_name: str, sql_condition: str, *sql_parameters: Any) -> AsyncIterator[Any]:
    """Items that meet a condition in SQL, as Perper 0.8 had it. The Fabric has no SQL, and says so."""
    raise FeatureNotSupportedError(
        f"the Fabric does not answer queries in SQL ({type_name} {sql_condition}); read the stream and filter its items",
        metadata={"stream": stream.stream},
    )


class StreamWriter:
    """Writes many items, as fast as they come. It waits only while too much is on its way.

    As an asynchronous context manager it ends with `flush`.
    """

    def __init__(self, current: Context, stream: str, stride: int) -> None:
        self._way = current._way()
        number = self._way.number()
        self._way.send(OPEN_WRITER, current._number(), number, stream, stride)
        self._way.port.flush()
        self._writer: _native.Writer = self._way.port.writer(number)

    async def put(self, item: Any) -> None:
        """Write an item; or a pair of a key, which is an `int`, and an item."""
        if not self._writer.put(item):
            await self._way.request_refused(self._writer)

    async def write(self, item: Any, key: int | None = None) -> None:
        """Write an item, at a key if one is given."""
        if not self._writer.put_at(key, item):
            await self._way.request_refused(self._writer)

    async def flush(self) -> None:
        """Wait until everything written so far is in the stream; it fails if something was refused."""
        await self._way.request(FLUSH_WRITER, self._writer.number)

    def close(self) -> None:
        """Forget the writer. What was written is not lost."""
        self._way.send(CLOSE_WRITER, self._writer.number)

    async def __aenter__(self) -> StreamWriter:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, where: object) -> None:
        try:
            if error is None:
                await self.flush()
        finally:
            self.close()


def stream_writer(stream: PerperStream) -> StreamWriter:
    """Write many items of a blank stream."""
    return StreamWriter(context(), stream.stream, stream.stride)


async def write_stream(stream: PerperStream, item: Any, key: int | None = None) -> int:
    """Write an item to a blank stream, wait until it is there, and give its key. For many items: `stream.writer()`."""
    if key is None:
        return cast("int", await context()._request(WRITE_ITEM, stream.stream, item))
    writer = stream_writer(stream)
    try:
        await writer.write(item, key)
        await writer.flush()
    finally:
        writer.close()
    return key


async def complete_stream(stream: PerperStream, error: BaseException | None = None) -> None:
    """End a blank stream: its listeners get what is left, then the end, or that error."""
    current = context()
    failure = None if error is None else failure_of(error)
    await current._request(COMPLETE, current._number(), stream.stream, failure)


async def get_stream(stream: PerperStream) -> dict[str, Any]:
    """How a stream stands: its options, its first and last key, how many items are kept, whether it has ended."""
    current = context()
    info: dict[str, Any] = await current._request(GET, current._number(), stream.stream)
    return info


async def wait_for_listener(stream: PerperStream) -> None:
    """Wait until a stream has, or has had, a listener."""
    current = context()
    await current._request(WAIT_FOR_LISTENER, current._number(), stream.stream)


async def remove_listener(stream: PerperStream, listener: str) -> None:
    """Remove a named listener of a stream, and its place."""
    current = context()
    await current._request(REMOVE_LISTENER, current._number(), stream.stream, listener)


async def destroy_stream(stream: PerperStream) -> None:
    """Destroy a stream and its items, and cancel its generator."""
    current = context()
    await current._request(DESTROY, current._number(), stream.stream)
