"""References to what lives in a Fabric. They are plain data, and may stand inside of any other value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .ambient import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from .streams import StreamWriter

__all__ = ["PerperAgent", "PerperExecution", "PerperStream", "Reference"]


class Reference:
    """A reference of any type. Those that Perper has are read as their own classes; others are handed on as this one."""

    __slots__ = ("_id", "_options", "_type")

    def __init__(self, type: str, id: str, options: dict[str, Any] | None = None) -> None:  # noqa: A002
        self._type, self._id, self._options = type, id, options or {}

    def _write(self) -> tuple[str, str, dict[str, Any]]:
        return self._type, self._id, self._options

    def _identity(self) -> object:
        kind, identity, options = self._write()
        # Whoever may use it does not change what it refers to.
        return (
            kind,
            identity,
            sorted((name, repr(value)) for name, value in options.items() if name != "capability"),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._write()[:2])

    def __repr__(self) -> str:
        kind, identity, options = self._write()
        return f"Reference({kind!r}, {identity!r}, {options!r})"


class PerperAgent(Reference):
    """An instance of an agent: whom to call. Without an instance it is the agent's implicit one."""

    TYPE: ClassVar[str] = "perper.Agent"
    __slots__ = ("agent", "instance")

    def __init__(self, agent: str, instance: str = "") -> None:
        super().__init__(self.TYPE, agent)
        self.agent, self.instance = agent, instance

    @classmethod
    def _read(cls, identity: str, options: dict[str, Any]) -> PerperAgent:
        agent = cls(identity, options.pop("instance", ""))
        agent._options = options
        return agent

    def _write(self) -> tuple[str, str, dict[str, Any]]:
        options = {"instance": self.instance, **self._options} if self.instance else self._options
        return self.TYPE, self.agent, options

    def __repr__(self) -> str:
        return f"PerperAgent(agent={self.agent!r}, instance={self.instance!r})"

    async def call(self, delegate: str, *parameters: Any, timeout: float | None = None) -> Any:
        """Call a delegate of this instance; see `perper.call_agent`."""
        return await context()._call(self.agent, self.instance, delegate, parameters, timeout)

    async def stop(self, *, force: bool = False, timeout: float | None = None) -> bool:
        """Stop this instance; see `perper.destroy_agent`."""
        from .calls import stop_agent

        return await stop_agent(self, force=force, timeout=timeout)


class _Plain(Reference):
    """An id and nothing else that this version reads."""

    TYPE: ClassVar[str]
    __slots__ = ()

    def __init__(self, identity: str) -> None:
        super().__init__(self.TYPE, identity)

    @classmethod
    def _read(cls, identity: str, options: dict[str, Any]) -> Reference:
        reference = cls(identity)
        reference._options = options
        return reference


class PerperExecution(_Plain):
    """One call."""

    TYPE: ClassVar[str] = "perper.Execution"
    __slots__ = ()

    def __init__(self, execution: str) -> None:
        super().__init__(execution)

    @property
    def execution(self) -> str:
        """The id."""
        return self._id

    def __repr__(self) -> str:
        return f"PerperExecution(execution={self._id!r})"


class PerperStream(Reference):
    """A stream of items, and from where on to read it.

    `startIndex` is the key to read from, -1 for the latest item on; `stride` the distance of two keys of a packed stream.
    """

    TYPE: ClassVar[str] = "perper.Stream"
    BEGINNING: ClassVar[int] = -(1 << 63)
    """The start that stands for the first item kept: the smallest key there can be."""

    __slots__ = ("_start", "localToData", "stream", "stride")

    def __init__(self, stream: str, startIndex: int = -1, stride: int = 0, localToData: bool = False) -> None:
        super().__init__(self.TYPE, stream)
        self.stream, self.stride, self.localToData = stream, stride, localToData
        self._start: int | None = None if startIndex == -1 else startIndex

    @property
    def startIndex(self) -> int:  # noqa: N802
        """The key to read from; -1 for the latest item on."""
        return -1 if self._start is None else self._start

    @classmethod
    def _read(cls, identity: str, options: dict[str, Any]) -> PerperStream:
        stream = cls(identity, stride=options.pop("stride", 0), localToData=options.pop("localToData", False))
        stream._start = options.pop("start", None)
        stream._options = options
        return stream

    def _write(self) -> tuple[str, str, dict[str, Any]]:
        options: dict[str, Any] = {}
        if self._start is not None:
            options["start"] = self._start
        if self.stride:
            options["stride"] = self.stride
        if self.localToData:
            options["localToData"] = True
        return self.TYPE, self.stream, {**options, **self._options}

    def _copy(self) -> PerperStream:
        copy = PerperStream(self.stream, stride=self.stride, localToData=self.localToData)
        copy._start, copy._options = self._start, self._options
        return copy

    def __repr__(self) -> str:
        return (
            f"PerperStream(stream={self.stream!r}, startIndex={self.startIndex}, stride={self.stride}, "
            f"localToData={self.localToData})"
        )

    def replay(self, key: int | None = None) -> PerperStream:
        """The same stream, read from that key on, inclusive; without one, from the first item kept."""
        copy = self._copy()
        copy._start = self.BEGINNING if key is None else key
        return copy

    def latest(self) -> PerperStream:
        """The same stream, read from the latest item on."""
        copy = self._copy()
        copy._start = None
        return copy

    def local_to_data(self, local: bool = True) -> PerperStream:
        """The same stream, of which only the items are read that are stored where the reader is."""
        copy = self._copy()
        copy.localToData = local
        return copy

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.items()

    def __await__(self) -> Generator[Any, None, PerperStream]:
        """Wait until the Fabric has the stream; it fails if it could not be created."""
        from .streams import get_stream

        yield from get_stream(self).__await__()
        return self

    def items(self, listener: str | None = None) -> AsyncIterator[Any]:
        """The items; see `perper.enumerate_stream`."""
        from .streams import enumerate_stream

        return enumerate_stream(self, listener)

    def entries(self, listener: str | None = None) -> AsyncIterator[tuple[int, Any]]:
        """The items with their keys; see `perper.enumerate_stream_with_keys`."""
        from .streams import enumerate_stream_with_keys

        return enumerate_stream_with_keys(self, listener)

    async def write(self, item: Any, key: int | None = None) -> int:
        """Write an item; see `perper.write_stream`."""
        from .streams import write_stream

        return await write_stream(self, item, key)

    def writer(self) -> StreamWriter:
        """Write many items, as fast as they come."""
        from .streams import stream_writer

        return stream_writer(self)

    async def complete(self, error: BaseException | None = None) -> None:
        """End the stream; see `perper.complete_stream`."""
        from .streams import complete_stream

        await complete_stream(self, error)

    async def info(self) -> dict[str, Any]:
        """How the stream stands; see `perper.get_stream`."""
        from .streams import get_stream

        return await get_stream(self)

    async def wait_for_listener(self) -> None:
        """Wait until the stream has, or has had, a listener."""
        from .streams import wait_for_listener

        await wait_for_listener(self)

    async def remove_listener(self, listener: str) -> None:
        """Remove a named listener and its place; see `perper.remove_listener`."""
        from .streams import remove_listener

        await remove_listener(self, listener)

    async def destroy(self) -> None:
        """Destroy the stream and its items, and cancel its generator."""
        from .streams import destroy_stream

        await destroy_stream(self)


REFERENCES: dict[str, type[Reference]] = {
    PerperAgent.TYPE: PerperAgent,
    PerperExecution.TYPE: PerperExecution,
    PerperStream.TYPE: PerperStream,
}
"""Which class stands for which type of reference."""
