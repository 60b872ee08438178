"""A Fabric in this process: for tests, and for programs that need no server beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _native, threads
from .ambient import client_context, set_connected
from .session import Session, pop_endpoint, push_endpoint

if TYPE_CHECKING:
    from types import TracebackType

    from .ambient import Context

__all__ = ["EmbeddedFabric", "embedded"]


class EmbeddedFabric:
    """A Fabric in this process, on a free port. While it runs, it is where this process connects by default."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._native: _native.Embedded | None = None
        self._session: Session | None = None
        self._before: Context | None = None

    @property
    def endpoint(self) -> str:
        """Where it is: `http://127.0.0.1:port`."""
        return self._started().endpoint

    @property
    def context(self) -> Context:
        """The context of a client that is no agent: the default while the Fabric runs."""
        self._started()
        if self._session is None:
            raise RuntimeError("the Fabric has been stopped")
        return client_context(self._session)

    def _started(self) -> _native.Embedded:
        if self._native is None:
            raise RuntimeError("the Fabric has not been started; use `async with perper.embedded() as fabric:`")
        return self._native

    def start(self) -> EmbeddedFabric:
        """Start it, waiting in this thread."""
        self._native = _native.Embedded(self._folder)
        push_endpoint(self._native.endpoint)
        self._session = Session.start(endpoint=self._native.endpoint)
        self._before = set_connected(client_context(self._session))
        return self

    def stop(self) -> None:
        """End it, waiting in this thread: clients are told, and with a folder everything is brought to disk."""
        if self._native is None or self._session is None:
            return
        set_connected(self._before)
        pop_endpoint(self._native.endpoint)
        session, self._session = self._session, None
        session.connection.close()
        self._native.stop()

    async def __aenter__(self) -> EmbeddedFabric:
        return await threads.run(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await threads.run(self.stop)

    def __enter__(self) -> EmbeddedFabric:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


def embedded(folder: str | None = None) -> EmbeddedFabric:
    """Start a Fabric in this process: `async with perper.embedded():`.

    It keeps everything in memory; or in a folder, and finds it there again. Within, agents and `connect` go there by
    themselves, and code that is no handler can call at once.
    """
    return EmbeddedFabric(folder)
