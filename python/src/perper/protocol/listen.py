"""Listening for executions by hand: whoever writes his own agent runtime, a router, or a worker of any delegate."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, NamedTuple

from ..ambient import Context, Invocation, context
from ..errors import BY_CODE, InvalidArgumentError, PerperError, ReservationLostError
from ..failures import failure_of
from ..model import PerperAgent, PerperExecution, PerperStream
from ..session import BLOCKING, Session
from ..streams import StreamWriter

__all__ = ["Activation", "LinkedStream", "Listen", "listen"]

COMPLETE, FAIL, RELEASE, STOP, GRANT = 1, 2, 3, 5, 7


class LinkedStream(NamedTuple):
    """The stream that an execution is to fill, and what earlier attempts left there."""

    stream: PerperStream
    last_key: int | None
    """The last key written, if any item was."""
    items: int
    """How many items there are."""
    first_key: int
    """The first key of a packed stream."""


class Activation:
    """An execution that is reserved for this process, until it is completed, failed or released here.

    It may be taken away before: when it is cancelled, its deadline passes, or this process could not hold on to it. Then
    `revoked` says why.
    """

    def __init__(self, source: _Source, record: tuple[Any, ...]) -> None:
        linked, arguments = record[13], record[14]
        self._source = source
        self._invocation = Invocation(record[1])
        self._concluding = False
        self._arguments: tuple[Any, ...] | BaseException = arguments
        self._ended: asyncio.Future[PerperError | None] = source.loop.create_future()
        self.context = Context._of_activation(source.session, self._invocation, record)
        """What calls belong to that are made on its behalf: `with activation.context.use(): …`."""
        self.stream: LinkedStream | None = None
        """For a generator: what to fill."""
        if linked is not None:
            stream, last_key, items, stride, first_key, _ = linked
            self.stream = LinkedStream(PerperStream(stream, stride=stride), last_key, items, first_key)

    def __repr__(self) -> str:
        return f"<Activation of {self.agent.agent}/{self.agent.instance} {self.delegate} {self.execution.execution}>"

    @property
    def execution(self) -> PerperExecution:
        """The execution."""
        return PerperExecution(self.context.execution)

    @property
    def agent(self) -> PerperAgent:
        """The instance that was called."""
        return PerperAgent(self.context.agent, self.context.instance)

    @property
    def delegate(self) -> str:
        """The delegate that was called."""
        return self.context.delegate

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments, as values: a dataclass comes as a `dict` (see `perper.convert`)."""
        if isinstance(self._arguments, BaseException):
            raise self._arguments
        return self._arguments

    @property
    def revoked(self) -> PerperError | None:
        """Why it was taken away; `None` if it was not. Its outcome is nobody's any more, and work on it may stop."""
        return self._ended.result() if self._ended.done() else None

    async def ended(self) -> PerperError | None:
        """Wait until it is over: gives `revoked`."""
        return await asyncio.shield(self._ended)

    def writer(self) -> StreamWriter:
        """Fills the stream of a generator. `complete` ends it, `fail` ends it with an error."""
        if self.stream is None:
            raise InvalidArgumentError(f"{self.delegate!r} was called, not started as a stream: there is none to fill")
        self._require()
        return StreamWriter(self.context, self.stream.stream.stream, self.stream.stream.stride)

    async def complete(self, result: Any = None) -> None:
        """Answer with a result; a tuple is several. What cannot be encoded raises a `TypeError`, and changes nothing."""
        await self._conclude(COMPLETE, result)

    async def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        await self._conclude(FAIL, failure_of(error))

    async def release(self) -> None:
        """Give it back unharmed: another worker shall have it."""
        await self._conclude(RELEASE)

    def _require(self) -> None:
        if self.revoked is not None:
            raise self.revoked
        if self._concluding:
            raise ReservationLostError(f"execution {self.execution.execution} has been concluded here already")

    async def _conclude(self, operation: int, *fields: Any) -> None:
        self._require()
        self._concluding = True
        concluding = self.context._request(operation, self._invocation.number, *fields)
        try:
            if BLOCKING.get():
                await concluding
            else:
                # Given up half way, it would be neither held here nor anybody else's.
                await asyncio.shield(asyncio.ensure_future(concluding))
        except Exception:
            # It could not be encoded: nothing was sent.
            self._concluding = False
            raise
        finally:
            if self._concluding:
                self._source.over(self, None)

    def _end(self, error: PerperError | None) -> None:
        invocation = self._invocation
        invocation.over = True
        if error is not None and invocation.cancellation is not None:
            # Threads that wait on its behalf.
            invocation.cancellation.cancel()
        if not self._ended.done():
            self._ended.set_result(error)


class _Source:
    """What a listen has running: it lives as long as something is held, even if nobody listens any more."""

    def __init__(self, session: Session, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        port = session.connection.serve(*arguments, **options)
        self.session = Session(session.connection, port)
        self.bridge = self.session.bridge_with(self._event)
        self._held: dict[int, Activation] = {}
        # What came for somebody who had given up asking.
        self._arrived: deque[Activation] = deque()
        self._asking: deque[asyncio.Future[Activation | None]] = deque()
        # How many were asked of the Fabric and have not come.
        self._granted = 0
        self._stopped = False
        self._error: PerperError | None = None

    async def next(self) -> Activation | None:
        """The next execution. One for each that is asked for: others are for other workers."""
        if self._arrived:
            return self._arrived.popleft()
        if self._error is not None:
            raise self._error
        if self._stopped:
            return None
        asking: asyncio.Future[Activation | None] = self.loop.create_future()
        self._asking.append(asking)
        if self._granted < len(self._asking):
            self._granted += 1
            self.bridge.send(GRANT, 1)
        try:
            return await asking
        except asyncio.CancelledError:
            if asking.cancelled() or not asking.done():
                self._asking.remove(asking)
            elif not asking.exception() and (activation := asking.result()):
                self._hand_out(activation)
            raise

    def stop(self) -> None:
        """Take no more, and give back what nobody has been handed. What somebody has is still held."""
        if self._stopped:
            return
        self._stopped = True
        self.bridge.send(STOP)
        while self._arrived:
            self._give_back(self._arrived.popleft())
        self._tell(None)

    def over(self, activation: Activation, error: PerperError | None) -> None:
        """It is not held any more."""
        if self._held.pop(activation._invocation.number, None) is not None:
            with contextlib.suppress(RuntimeError):
                # From a thread, for one.
                self.loop.call_soon_threadsafe(activation._end, error)

    def _event(self, record: tuple[Any, ...]) -> None:
        kind = record[0]
        if kind == 1:
            self._granted -= 1
            activation = self._held[record[1]] = Activation(self, record)
            self._hand_out(activation)
        elif kind == 2:
            revoked = self._held.pop(record[1], None)
            if revoked is not None:
                if revoked in self._arrived:
                    self._arrived.remove(revoked)
                revoked._end(_reason(record[2], revoked))
        else:
            self._stopped = True
            self._error = record[1]
            self._tell(record[1])
            self._close_when_idle()

    def _hand_out(self, activation: Activation) -> None:
        if self._stopped:
            self._give_back(activation)
            return
        while self._asking:
            asking = self._asking.popleft()
            if not asking.done():
                asking.set_result(activation)
                return
        self._arrived.append(activation)

    def _give_back(self, activation: Activation) -> None:
        self._held.pop(activation._invocation.number, None)
        self.bridge.send(RELEASE, activation._invocation.number)
        activation._end(None)

    def _tell(self, error: PerperError | None) -> None:
        """That no more comes."""
        while self._asking:
            asking = self._asking.popleft()
            if asking.done():
                continue
            if error is None:
                asking.set_result(None)
            else:
                asking.set_exception(error)

    def _close_when_idle(self) -> None:
        """Answers that are still on their way come first."""
        for waiting in self.bridge._futures.values():
            waiting.add_done_callback(lambda _: self.loop.call_soon(self._close_when_idle))
            return
        self.session._bridges.pop(self.loop, None)
        self.bridge.close()


def _reason(code: int, activation: Activation) -> PerperError:
    kind = BY_CODE.get(code, ReservationLostError)
    return kind(f"execution {activation.execution.execution} was taken away", metadata={"code": str(code)})


class Listen:
    """Executions that come to this process by hand; see `listen`.

    Leaving the block, or dropping this, takes no more. What has been handed out stays reserved until it is concluded.
    """

    def __init__(self, session: Session, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._session, self._arguments, self._options = session, arguments, options
        self._source: _Source | None = None
        self._closed = False

    def __aiter__(self) -> Listen:
        return self

    async def __anext__(self) -> Activation:
        source = self._begin()
        activation = None if source is None else await source.next()
        if activation is None:
            raise StopAsyncIteration
        return activation

    async def __aenter__(self) -> Listen:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> _Source | None:
        if self._source is None and not self._closed:
            self._source = _Source(self._session, self._arguments, self._options)
        return self._source

    def close(self) -> None:
        """Take no more. What has been handed out may still be completed."""
        self._closed = True
        if self._source is not None:
            self._source.stop()

    async def aclose(self) -> None:
        """As `close`; for `contextlib.aclosing`."""
        self.close()

    def __del__(self) -> None:
        if self._source is not None and not self._closed:
            # From whichever thread; and the loop may be over, and all this with it.
            with contextlib.suppress(RuntimeError):
                self._source.loop.call_soon_threadsafe(self._source.stop)


def listen(
    agent: str,
    *delegates: str,
    instance: str | None = None,
    work_group: str = "",
    held_bytes: int = 32 << 20,
) -> Listen:
    """Take executions of an agent one by one, and answer each by hand.

    ```python
    async with perper.protocol.listen("Shop", "Price") as activations:
        async for activation in activations:
            await activation.complete(len(activation.arguments))
    ```

    Without delegates it takes whatever is called, `Start` and `Stop` of instances too, which otherwise succeed by
    themselves as long as somebody asks. Asking for the next one asks the Fabric for one: what nobody has asked for goes
    to other workers. For several at once ask again before the last is answered, or in several tasks.
    """
    if not agent:
        raise InvalidArgumentError("the agent to listen for has no name")
    options = {
        "any_delegate": not delegates,
        "deploy": False,
        "upgrade": False,
        "enter": False,
        # None at first, and then as many as are asked for.
        "concurrency": 0,
        "bytes": held_bytes,
        "work_group": work_group,
    }
    return Listen(context()._session, (agent, instance or None, list(delegates), {}), options)
