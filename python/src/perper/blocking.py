"""The same calls for plain functions: each waits for its answer.

They run in any thread, in that of an event loop as well, and free the interpreter while they wait. In a handler's
thread they are given up when the execution is cancelled; in the main thread Ctrl-C interrupts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from . import ambient as _ambient
from . import calls as _calls
from . import states as _state
from . import streams as _streams
from .session import BLOCKING, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from .ambient import Context
    from .model import PerperAgent, PerperStream

__all__ = [
    "call",
    "call_agent",
    "complete_stream",
    "connect",
    "destroy_agent",
    "destroy_stream",
    "enumerate_stream",
    "enumerate_stream_with_keys",
    "get_state",
    "get_stream",
    "iterate",
    "remove_listener",
    "remove_state",
    "set_state",
    "start_agent",
    "stop_agent",
    "wait",
    "wait_for_listener",
    "write_stream",
]

T = TypeVar("T")


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine of this package in this thread, without an event loop: `wait(perper.state().get("key"))`."""
    token = BLOCKING.set(True)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        BLOCKING.reset(token)
    coroutine.close()
    raise RuntimeError("this waits for an event loop; `perper.blocking` waits for coroutines of perper only")


def iterate(iterator: AsyncIterator[T]) -> Iterator[T]:
    """Go through an asynchronous iterator of this package in this thread: `for key, value in iterate(state.items())`."""
    try:
        while True:
            try:
                item = wait(_next(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            wait(close())


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()


def connect(
    *,
    endpoint: str | None = None,
    token: str | None = None,
    ca_file: str | None = None,
    identity_files: tuple[str, str] | None = None,
) -> Context:
    """Connect to a Fabric, and make that the default of this process; as `perper.connect`."""
    from . import _native

    session = Session.start(endpoint=endpoint, token=token, ca_file=ca_file, identity_files=identity_files)
    try:
        session.connection.ready(_native.Cancellation())
    except BaseException:
        session.connection.close()
        raise
    connected = _ambient.client_context(session)
    _ambient.set_connected(connected)
    return connected


def call(delegate: str, *parameters: Any, timeout: float | None = None) -> Any:
    """Call a delegate of the current instance; as `perper.call`."""
    return wait(_calls.call(delegate, *parameters, timeout=timeout))


def call_agent(agent: PerperAgent, delegate: str, *parameters: Any, timeout: float | None = None) -> Any:
    """Call a delegate of an instance; as `perper.call_agent`."""
    return wait(_calls.call_agent(agent, delegate, *parameters, timeout=timeout))


def start_agent(
    agent: str, *parameters: Any, instance: str | None = None, timeout: float | None = None
) -> tuple[PerperAgent, Any]:
    """Start an instance; as `perper.start_agent`."""
    return wait(_calls.start_agent(agent, *parameters, instance=instance, timeout=timeout))


def stop_agent(agent: PerperAgent, *, force: bool = False, timeout: float | None = None) -> bool:
    """Stop an instance; as `perper.stop_agent`."""
    return wait(_calls.stop_agent(agent, force=force, timeout=timeout))


def destroy_agent(agent: PerperAgent) -> None:
    """Stop an instance; as `perper.destroy_agent`."""
    wait(_calls.destroy_agent(agent))


def enumerate_stream(stream: PerperStream, listener: str | None = None) -> Iterator[Any]:
    """The items of a stream; as `perper.enumerate_stream`."""
    return iterate(_streams.enumerate_stream(stream, listener))


def enumerate_stream_with_keys(stream: PerperStream, listener: str | None = None) -> Iterator[tuple[int, Any]]:
    """The items of a stream with their keys; as `perper.enumerate_stream_with_keys`."""
    return iterate(_streams.enumerate_stream_with_keys(stream, listener))


def write_stream(stream: PerperStream, item: Any, key: int | None = None) -> int:
    """Write an item to a blank stream; as `perper.write_stream`."""
    return wait(_streams.write_stream(stream, item, key))


def complete_stream(stream: PerperStream, error: BaseException | None = None) -> None:
    """End a blank stream; as `perper.complete_stream`."""
    wait(_streams.complete_stream(stream, error))


def get_stream(stream: PerperStream) -> dict[str, Any]:
    """How a stream stands; as `perper.get_stream`."""
    return wait(_streams.get_stream(stream))


def wait_for_listener(stream: PerperStream) -> None:
    """Wait until a stream has a listener; as `perper.wait_for_listener`."""
    wait(_streams.wait_for_listener(stream))


def remove_listener(stream: PerperStream, listener: str) -> None:
    """Remove a named listener; as `perper.remove_listener`."""
    wait(_streams.remove_listener(stream, listener))


def destroy_stream(stream: PerperStream) -> None:
    """Destroy a stream; as `perper.destroy_stream`."""
    wait(_streams.destroy_stream(stream))


_ABSENT = object()


def get_state(key: Any, default: Any = None, default_factory: Callable[[], Any] | None = None) -> Any:
    """The value of a key in the state of the current instance.

    Where it is absent: the default; or what the factory makes, which is then written.
    """
    value = wait(_state.state().get(key, _ABSENT))
    if value is not _ABSENT:
        return value
    if default_factory is None:
        return default
    made = default_factory()
    set_state(key, made)
    return made


def set_state(key: Any, value: Any, value_hint: Any = None) -> None:
    """Write an entry of the state of the current instance."""
    wait(_state.state().set(key, value if value_hint is None else (value, value_hint)))


def remove_state(key: Any) -> None:
    """Remove an entry of the state of the current instance."""
    wait(_state.state().remove(key))
