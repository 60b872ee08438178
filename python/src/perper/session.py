"""One connection, and the ways to it: from an event loop, or from a thread that waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

from . import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from .ambient import Context

logger = logging.getLogger("perper")

BLOCKING: contextvars.ContextVar[bool] = contextvars.ContextVar("perper.blocking", default=False)
"""Whether the coroutine that runs is to wait in its thread, instead of in an event loop."""

# Operations of the packed format that are asked for in more than one place.
CANCEL = 4
CREATE_EXECUTION = 13


class Way(Protocol):
    """How requests reach the Fabric from where they are made."""

    port: _native.Port

    def request(self, operation: int, *fields: Any) -> Coroutine[Any, Any, Any]:
        """Ask, and wait for the answer."""
        ...

    async def request_refused(self, writer: _native.Writer) -> None:
        """Write the item for which a writer had no room, and wait until it has."""
        ...

    def send(self, operation: int, *fields: Any) -> None:
        """Ask for something without an answer."""
        ...

    def number(self) -> int:
        """For a listener or a writer: one that nobody else has."""
        ...


class Bridge:
    """The way from an event loop. All that comes at once costs the loop one wake-up."""

    def __init__(
        self,
        port: _native.Port,
        loop: asyncio.AbstractEventLoop,
        on_event: Callable[[tuple[Any, ...]], None] | None = None,
    ) -> None:
        self.port, self.loop = port, loop
        self._on_event = on_event
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._stop = _native.Cancellation()
        self._descriptor = port.watch()
        self._reader = False
        if self._descriptor >= 0:
            try:
                loop.add_reader(self._descriptor, self._drain)
                self._reader = True
            except NotImplementedError:
                # Windows' proactor loop, for one.
                pass
        if not self._reader:
            threading.Thread(target=self._listen, name="perper-alarm", daemon=True).start()

    def _listen(self) -> None:
        try:
            while self.port.listen(self._stop):
                # Drained once for each ring, and rung once until it is drained.
                self.loop.call_soon_threadsafe(self._drain)
        except Exception:
            # The loop or the interpreter has ended.
            return

    def close(self) -> None:
        """Hear no more. What is still waited for fails."""
        self.port.close()
        self._stop.cancel()
        if self.loop.is_closed():
            return
        if self._reader:
            self.loop.remove_reader(self._descriptor)
        for future in self._futures.values():
            if not future.done():
                future.set_exception(_closed())
        self._futures.clear()

    def number(self) -> int:
        self._last += 1
        return self._last

    async def request(self, operation: int, *fields: Any) -> Any:
        self._last = request = self._last + 1
        if self.port.submit(operation, request, *fields):
            self.loop.call_soon(self.port.flush)
        self._futures[request] = future = self.loop.create_future()
        try:
            return await future
        except BaseException:
            # Given up before the answer came: what it asked for is given up, too.
            if self._futures.pop(request, None) is not None:
                self.send(CANCEL, request)
            raise

    async def request_refused(self, writer: _native.Writer) -> None:
        # The item waits in the writer until it is written, so this is not to be given up half way.
        request = self.number()
        if self.port.submit_refused(request, writer):
            self.loop.call_soon(self.port.flush)
        self._futures[request] = future = self.loop.create_future()
        await future

    def send(self, operation: int, *fields: Any) -> None:
        if self.port.submit(operation, 0, *fields):
            self.loop.call_soon(self.port.flush)

    def _drain(self) -> None:
        records, more = self.port.drain()
        if more:
            # Others have their turn before.
            self.loop.call_soon(self._drain)
        coming = iter(records)
        try:
            self._take(coming)
        except BaseException:
            # A handler that ends the process; and should that go on all the same, nobody waits for what has come.
            self.loop.call_soon(self._take, coming)
            raise

    def _take(self, records: Iterator[tuple[Any, ...]]) -> None:
        futures = self._futures
        for record in records:
            if record[0] == 3:
                future = futures.pop(record[1], None)
                if future is None or future.done():
                    continue
                if record[2] is None:
                    future.set_result(record[3])
                else:
                    future.set_exception(record[2])
            elif self._on_event is not None:
                self._on_event(record)


class BlockingWay:
    """The way from a thread that waits for each answer by itself: it needs no event loop, and stops none."""

    def __init__(self, port: _native.Port, cancellation: _native.Cancellation | None) -> None:
        self.port = port
        self._cancellation = cancellation
        self._last = 0

    async def request(self, operation: int, *fields: Any) -> Any:
        return self.port.ask(self._cancellation, operation, *fields)

    async def request_refused(self, writer: _native.Writer) -> None:
        self.port.ask_refused(self._cancellation, writer)

    def send(self, operation: int, *fields: Any) -> None:
        self.port.submit(operation, 0, *fields)
        self.port.flush()

    def number(self) -> int:
        self._last += 1
        return self._last


class Session:
    """A connection, shared by all contexts over it."""

    def __init__(self, connection: _native.Connection, port: _native.Port | None = None) -> None:
        self.connection = connection
        self.port = port or connection.port()
        self.states: set[tuple[str, int]] = set()
        self._bridges: dict[asyncio.AbstractEventLoop, Bridge] = {}

    @classmethod
    def start(
        cls,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        identity_files: tuple[str, str] | None = None,
    ) -> Session:
        """Begin to connect. Requests wait until there is a connection."""
        _follow_log()
        connection = _native.Connection(
            endpoint=endpoint or default_endpoint(),
            token=token,
            ca_file=ca_file,
            identity_files=identity_files,
        )
        return cls(connection)

    async def ready(self) -> None:
        """Wait for the Fabric. The core says so once, if it is not there."""
        from . import threads

        cancellation = _native.Cancellation()
        try:
            await threads.run(self.connection.ready, cancellation)
        finally:
            cancellation.cancel()

    async def close(self) -> None:
        """End the session."""
        from . import threads

        for bridge in list(self._bridges.values()):
            bridge.close()
        self._bridges.clear()
        if BLOCKING.get():
            self.connection.close()
        else:
            await threads.run(self.connection.close)

    def bridge_with(self, on_event: Callable[[tuple[Any, ...]], None]) -> Bridge:
        """The bridge from the running loop that also gets the agent's events."""
        loop = asyncio.get_running_loop()
        bridge = self._bridges[loop] = Bridge(self.port, loop, on_event)
        return bridge

    def way(self, current: Context) -> Way:
        """How to ask from here."""
        if BLOCKING.get():
            return BlockingWay(self.port.beside(), current._cancellation())
        loop = asyncio.get_running_loop()
        bridge = self._bridges.get(loop)
        if bridge is None:
            for other in [other for other in self._bridges if other.is_closed()]:
                self._bridges.pop(other).close()
            bridge = self._bridges[loop] = Bridge(self.port.beside(), loop)
        return bridge

    def create(self, operation: int, *fields: Any) -> None:
        """Ask for something to be created, from anywhere, without waiting: whatever is asked after this finds it."""
        self.port.submit(operation, 0, *fields)
        self.port.flush()


_following = threading.Lock()


def _follow_log() -> None:
    """Hand on what the core logs. One thread of the process does, from the first connection on."""

    def follow() -> None:
        while True:
            try:
                lines = _native.take_log()
            except Exception:
                # The interpreter ends.
                return
            for level, place, message in lines:
                logging.getLogger(place).log(level, message)

    if _following.acquire(blocking=False):
        threading.Thread(target=follow, name="perper-log", daemon=True).start()


def _forked() -> None:
    global _following
    # The thread is not here.
    _following = threading.Lock()
    _endpoints.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

_endpoints: list[str] = []


def default_endpoint() -> str | None:
    """Where `perper.embedded` has put the Fabric; otherwise the environment tells."""
    return _endpoints[-1] if _endpoints else None


def push_endpoint(endpoint: str) -> None:
    """Make an endpoint the default of this process."""
    _endpoints.append(endpoint)


def pop_endpoint(endpoint: str) -> None:
    """Take that back."""
    _endpoints.remove(endpoint)


def _closed() -> Exception:
    from .errors import ClosedError

    return ClosedError("the connection was closed")
