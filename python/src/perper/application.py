"""Agent processes: handlers for delegates, and the loop that calls them."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import threads
from .ambient import Context, Invocation, _current, add_running, remove_running
from .errors import InvalidSettingsError, NotFoundError
from .failures import failure_of
from .model import PerperAgent
from .notebook import run_notebook
from .session import Bridge, Session, logger
from .streams import CLOSE_WRITER, FLUSH_WRITER, OPEN_WRITER, Options, stream_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
    from types import FrameType, TracebackType

    from . import _native

__all__ = ["Agent", "Running", "register_delegate", "run", "run_notebook"]

COMPLETE, FAIL, RELEASE, STOP, RELEASE_ALL = 1, 2, 3, 5, 6
DEPLOY, UPGRADE, ENTER = 1, 2, 3

F = TypeVar("F", bound="Callable[..., Any]")

HOOKS = {"Deploy": DEPLOY, "Upgrade": UPGRADE, "EnterContainer": ENTER, "Init": ENTER}
"""Names of handlers that nobody calls: they belong to the life of the process, or of an instance."""

TURN = 256
"""How many items a generator that never waits writes before others have their turn."""


class Handler:
    """A function, and how it is to be called."""

    def __init__(self, function: Callable[..., Any], *, in_loop: bool) -> None:
        self.function = function
        bare = function
        while isinstance(bare, functools.partial):
            bare = bare.func
        if not inspect.isroutine(bare) and hasattr(bare, "__call__"):  # noqa: B004 (its code is wanted)
            bare = bare.__call__
        self.coroutine = inspect.iscoroutinefunction(bare)
        self.async_generator = inspect.isasyncgenfunction(bare)
        self.generator = inspect.isgeneratorfunction(bare)
        self.in_loop = in_loop or self.coroutine or self.async_generator
        self.limit, self.converters = _parameters(function)

    @property
    def generates(self) -> bool:
        """Whether it is a generator, of either kind."""
        return self.generator or self.async_generator

    def arguments(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Leave surplus arguments out, and make of the others what the parameters' annotations say."""
        if self.limit is not None and len(arguments) > self.limit:
            arguments = arguments[: self.limit]
        converters = self.converters
        if converters is None:
            return arguments
        from .conversion import converted

        return converted(converters, arguments)


def _parameters(function: Callable[..., Any]) -> tuple[int | None, Any]:
    """How many arguments a function takes (`None`: any number), and what makes the values fit its annotations."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions written in C do not tell.
        return None, None
    limit: int | None = 0
    annotated = False
    for parameter in signature.parameters.values():
        annotated = annotated or parameter.annotation is not parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            limit = None
        elif limit is not None and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        ):
            limit += 1
    if not annotated:
        return limit, None
    from .conversion import converters_of

    return limit, converters_of(function, signature)


class Agent:
    """An agent: its delegates, and what it does in the life of an instance.

    ```python
    app = perper.Agent("Greeter")

    @app.delegate
    async def Greet(name: str) -> str:
        return f"Hello, {name}!"

    asyncio.run(app.run())
    ```

    Handlers are coroutines, plain functions (which run in threads, `sync_handlers="thread"`, or, if they never wait, in
    the event loop, `"loop"`), and asynchronous or plain generators, which fill streams.
    """

    def __init__(
        self,
        name: str | None = None,
        delegates: Mapping[str, Callable[..., Any]] | None = None,
        *,
        sync_handlers: str = "thread",
        concurrency: int = 1024,
        held_bytes: int = 32 << 20,
        work_group: str = "",
        grace: float = 30.0,
    ) -> None:
        if sync_handlers not in ("thread", "loop"):
            raise InvalidSettingsError(f"sync_handlers is 'thread' or 'loop', not {sync_handlers!r}")
        if concurrency < 1:
            raise InvalidSettingsError(f"concurrency is how many calls run at once, at least 1, not {concurrency}")
        self.name = name or os.environ.get("X_PERPER_AGENT", "")
        if not self.name:
            raise InvalidSettingsError("the agent has no name; give it one, or set X_PERPER_AGENT")
        self.sync_handlers = sync_handlers
        self.concurrency, self.held_bytes, self.work_group, self.grace = (
            concurrency,
            held_bytes,
            work_group,
            grace,
        )
        self._handlers: dict[str, Handler] = {}
        self._hooks: dict[int, Handler] = {}
        self._streams: dict[str, tuple[Options, bool]] = {}
        self._deploy_instance = f"{self.name}-deploy"
        for delegate, function in (delegates or {}).items():
            self.add(delegate, function)

    def _handler(self, function: Callable[..., Any]) -> Handler:
        if not callable(function):
            raise InvalidSettingsError(f"a handler is a function, not {function!r}")
        return Handler(function, in_loop=self.sync_handlers == "loop")

    def add(self, delegate: str, function: Callable[..., Any]) -> None:
        """Declare the handler of a delegate."""
        handler = self._handler(function)
        hook = HOOKS.get(delegate)
        if hook is not None:
            self._hook(hook, function)
            return
        if delegate in self._handlers:
            raise InvalidSettingsError(f"agent {self.name!r} has two handlers for {delegate!r}; remove one")
        self._handlers[delegate] = handler
        if handler.generates:
            self._streams.setdefault(delegate, (stream_options(), False))

    def _hook(self, kind: int, function: F) -> F:
        handler = self._handler(function)
        if handler.generates:
            raise InvalidSettingsError("a generator can only be a delegate")
        self._hooks[kind] = handler
        return function

    @overload
    def delegate(self, function: F, /) -> F: ...
    @overload
    def delegate(self, name: str | None = None, /) -> Callable[[F], F]: ...
    def delegate(self, function: Any = None, /) -> Any:
        """Decorate the handler of a delegate: `@app.delegate`, or `@app.delegate("Name")`."""
        if callable(function):
            self.add(function.__name__, function)
            return function

        def decorate(decorated: F) -> F:
            self.add(function or decorated.__name__, decorated)
            return decorated

        return decorate

    @overload
    def stream(self, function: F, /) -> F: ...
    @overload
    def stream(
        self,
        name: str | None = None,
        /,
        *,
        action: bool = False,
        ephemeral: bool = True,
        packed: bool | int = False,
        index: str | Iterable[str] | None = None,
        first_key: int = 0,
        backlog: int = 0,
        resume: str = "again",
    ) -> Callable[[F], F]: ...
    def stream(self, function: Any = None, /, *, resume: str = "again", **options: Any) -> Any:
        """Decorate a generator: `@app.stream`, or `@app.stream("Name", packed=True)`.

        The options are those of the streams that a plain call of it makes; whoever starts the stream himself gives his own.
        `resume="skip"`, for a generator that yields the same each time: when it is taken up after a crash, what is in the
        stream already is not written again.
        """
        if resume not in ("again", "skip"):
            raise InvalidSettingsError(f"resume is 'again' or 'skip', not {resume!r}")

        def decorate(decorated: F) -> F:
            name = function if isinstance(function, str) else decorated.__name__
            self._streams[name] = (stream_options(**options), resume == "skip")
            self.add(name, decorated)
            return decorated

        return decorate(function) if callable(function) else decorate

    def on_deploy(self, function: F) -> F:
        """Decorate what runs once in each process, beside everything else. A failure is logged."""
        return self._hook(DEPLOY, function)

    def on_upgrade(self, function: F) -> F:
        """Decorate what runs for each instance in each process, before `on_enter`."""
        return self._hook(UPGRADE, function)

    def on_enter(self, function: F) -> F:
        """Decorate what runs when an instance enters a process: before its first call there."""
        return self._hook(ENTER, function)

    def on_start(self, function: F) -> F:
        """Decorate what runs when an instance is started; the same as a delegate `Start`."""
        self.add("Start", function)
        return function

    def on_stop(self, function: F) -> F:
        """Decorate what runs when an instance is stopped; the same as a delegate `Stop`."""
        self.add("Stop", function)
        return function

    async def start(
        self,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        identity_files: tuple[str, str] | None = None,
        instance: str | None = None,
    ) -> Running:
        """Connect, and serve in the background until `Running.stop`."""
        session = Session.start(endpoint=endpoint, token=token, ca_file=ca_file, identity_files=identity_files)
        try:
            await session.ready()
            if instance is None:
                instance = os.environ.get("X_PERPER_INSTANCE", "") or None
            return Running(self, session, instance, owned=True)
        except BaseException:
            await session.close()
            raise

    def running(self, *, endpoint: str | None = None, instance: str | None = None) -> _RunningBlock:
        """Serve within a block: `async with app.running() as running: …`. Inside, the agent's context is current."""
        return _RunningBlock(self, endpoint, instance)

    async def run(
        self,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        identity_files: tuple[str, str] | None = None,
        instance: str | None = None,
        signals: bool = True,
    ) -> None:
        """Serve until the process is told to stop (Ctrl-C or SIGTERM), or the connection cannot be kept.

        What is in flight then is finished within the grace. After Ctrl-C the process exits with code 130.
        """
        with _Signals(signals) as told:
            starting = asyncio.ensure_future(
                self.start(
                    endpoint=endpoint,
                    token=token,
                    ca_file=ca_file,
                    identity_files=identity_files,
                    instance=instance,
                )
            )
            running = await told.first(starting)
            if running is not None:
                await running._serve(told)


class _RunningBlock:
    def __init__(self, agent: Agent, endpoint: str | None, instance: str | None) -> None:
        self._agent, self._endpoint, self._instance = agent, endpoint, instance
        self._running: Running | None = None
        self._token: Any = None

    async def __aenter__(self) -> Running:
        self._running = await self._agent.start(endpoint=self._endpoint, instance=self._instance)
        self._token = _current.set(self._running.context)
        return self._running

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        if self._running is not None:
            await self._running.stop()


class Running:
    """An agent that runs in this event loop."""

    def __init__(self, agent: Agent, session: Session, instance: str | None, *, owned: bool) -> None:
        self._agent, self._owned = agent, owned
        self._instance = instance
        loop = asyncio.get_running_loop()
        port = session.connection.serve(
            agent.name,
            instance,
            list(agent._handlers),
            {name: (*options, skip) for name, (options, skip) in agent._streams.items()},
            any_delegate=False,
            deploy=DEPLOY in agent._hooks,
            upgrade=UPGRADE in agent._hooks,
            enter=ENTER in agent._hooks,
            concurrency=agent.concurrency,
            bytes=agent.held_bytes,
            work_group=agent.work_group,
        )
        self._session = Session(session.connection, port)
        self._ended: asyncio.Future[None] = loop.create_future()
        # Whoever does not ask is not told.
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._tasks: dict[int, tuple[asyncio.Task[None], Invocation]] = {}
        self._stopping: asyncio.Task[None] | None = None
        self.context = Context(self._session, agent.name, instance or agent._deploy_instance)
        self._bridge: Bridge = self._session.bridge_with(self._event)
        add_running(self.context)

    @property
    def agent(self) -> PerperAgent:
        """The agent's implicit instance."""
        return PerperAgent(self.context.agent, self.context.instance)

    @property
    def in_flight(self) -> int:
        """How many handlers run."""
        return len(self._tasks)

    async def ended(self) -> None:
        """Wait until the agent has ended: after a stop, or because the connection could not be kept."""
        await asyncio.shield(self._ended)

    async def stop(self, grace: float | None = None) -> None:
        """Take no more calls, wait for those in flight, give the rest back to other workers, end the session."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop(self._agent.grace if grace is None else grace))
        await asyncio.shield(self._stopping)

    def hurry(self) -> None:
        """Give back at once what is in flight. For when `stop` takes too long."""
        self._bridge.send(RELEASE_ALL)

    async def _stop(self, grace: float) -> None:
        try:
            self._bridge.send(STOP)
            done, _ = await asyncio.wait([self._ended], timeout=grace)
            if not done:
                logger.warning("the grace is over; giving back what is in flight: %d calls", len(self._tasks))
                self.hurry()
                await asyncio.wait([self._ended])
            tasks = [task for task, _ in self._tasks.values()]
            if tasks:
                # Cancelled, and about to notice.
                await asyncio.wait(tasks, timeout=1.0)
        finally:
            remove_running(self.context)
            if self._owned:
                await self._session.close()
            else:
                self._bridge.close()

    async def _serve(self, told: _Signals) -> None:
        """Serve until a signal comes, or the end."""
        stopped = told.wait()
        try:
            await asyncio.wait([self._ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                told.again(self.hurry)
            await self.stop()
            if self._ended.done():
                self._ended.result()
        except asyncio.CancelledError:
            # The surrounding task group, or a timeout: the same as being told to stop.
            await self.stop()
            raise
        told.exit()

    # What the core tells.

    def _event(self, record: tuple[Any, ...]) -> None:
        kind = record[0]
        if kind == 1:
            invocation = Invocation(record[1])
            task = _begin(self._bridge.loop, self._handle(invocation, record))
            if not task.done():
                self._tasks[record[1]] = (task, invocation)
        elif kind == 2:
            running = self._tasks.get(record[1])
            if running is not None:
                task, invocation = running
                invocation.over = True
                if invocation.cancellation is not None:
                    invocation.cancellation.cancel()
                task.cancel()
        elif not self._ended.done():
            if record[1] is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(record[1])

    async def _handle(self, invocation: Invocation, record: tuple[Any, ...]) -> None:
        bridge = self._bridge
        try:
            try:
                result = await self._invoke(invocation, record)
                if not invocation.over:
                    # It fails here if the result cannot be encoded.
                    bridge.send(COMPLETE, invocation.number, result)
            except asyncio.CancelledError as error:
                if not invocation.over and _was_cancelled():
                    # With the process, not by the Fabric: another worker shall have it.
                    bridge.send(RELEASE, invocation.number)
                elif not invocation.over:
                    # Something that the handler waited for was cancelled.
                    bridge.send(FAIL, invocation.number, failure_of(error))
            except Exception as error:
                if not invocation.over:
                    bridge.send(FAIL, invocation.number, failure_of(error))
            except BaseException:
                # KeyboardInterrupt, SystemExit: the process goes, the call does not.
                bridge.send(RELEASE, invocation.number)
                bridge.port.flush()
                raise
        finally:
            invocation.over = True
            self._tasks.pop(invocation.number, None)

    def _find(self, kind: int, delegate: str) -> Handler:
        handler = self._agent._hooks.get(kind) if kind else self._agent._handlers.get(delegate)
        if handler is None:
            raise NotFoundError(f"agent {self._agent.name} has no delegate {delegate!r}")
        return handler

    def _invoke(self, invocation: Invocation, record: tuple[Any, ...]) -> Awaitable[Any]:
        """Begin, in the task and the context of its own; what to wait for."""
        kind, linked, arguments = record[2], record[13], record[14]
        current = Context._of_activation(self._session, invocation, record)
        if kind == DEPLOY:
            # No execution stands behind what the process calls by itself.
            current.instance = self._instance or self._agent._deploy_instance
        _current.set(current)
        handler = self._find(kind, current.delegate)
        if isinstance(arguments, BaseException):
            raise arguments
        if linked is not None:
            return self._fill(handler, handler.arguments(arguments), invocation, linked)
        if handler.coroutine:
            coroutine: Awaitable[Any] = handler.function(*handler.arguments(arguments))
            return coroutine
        return self._call_plain(handler, arguments, invocation)

    async def _call_plain(self, handler: Handler, arguments: tuple[Any, ...], invocation: Invocation) -> Any:
        if handler.in_loop:
            result = handler.function(*handler.arguments(arguments))
        else:
            result = await self._in_thread(invocation, _called, handler, arguments)
        # A plain function may hand out a coroutine, as a lambda does.
        return await result if inspect.isawaitable(result) else result

    async def _in_thread(self, invocation: Invocation, function: Callable[..., Any], *arguments: Any) -> Any:
        from . import _native

        if invocation.cancellation is None:
            invocation.cancellation = _native.Cancellation()
        return await threads.run(function, *arguments)

    async def _fill(
        self, handler: Handler, arguments: tuple[Any, ...], invocation: Invocation, linked: tuple[Any, ...]
    ) -> None:
        """Write what a generator yields to its stream."""
        stream, _last_key, _items, stride, _first_key, skip = linked
        if not handler.generates:
            result = (
                handler.function(*arguments)
                if handler.in_loop
                else await self._in_thread(invocation, handler.function, *arguments)
            )
            if inspect.isawaitable(result):
                result = await result
            # A plain function may hand out a generator; whatever else it returns, it ends the stream.
            if not inspect.isasyncgen(result) and not inspect.isgenerator(result):
                return
        else:
            result = handler.function(*arguments)
        bridge, number = self._bridge, self._bridge.number()
        bridge.send(OPEN_WRITER, invocation.number, number, stream, stride)
        bridge.port.flush()
        writer = bridge.port.writer(number)
        try:
            if inspect.isasyncgen(result):
                await _write_items(bridge, writer, result, skip)
            else:
                cancellation = invocation.cancellation
                if cancellation is None:
                    from . import _native

                    cancellation = invocation.cancellation = _native.Cancellation()
                await threads.run(_write_plain_items, writer, result, skip, cancellation)
            await bridge.request(FLUSH_WRITER, number)
        finally:
            bridge.send(CLOSE_WRITER, number)


# Python 3.12 and later can.
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


def _begin(loop: asyncio.AbstractEventLoop, handling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that begins at once where that can be: a handler that need not wait costs the loop no turn then."""
    if loop.get_task_factory() is not None:
        return loop.create_task(handling)
    return asyncio.Task(handling, loop=loop, **_EAGER)


def _called(handler: Handler, arguments: tuple[Any, ...]) -> Any:
    return handler.function(*handler.arguments(arguments))


async def _write_items(bridge: Bridge, writer: _native.Writer, items: AsyncIterator[Any], skip: int) -> None:
    put = writer.put
    turn = TURN
    try:
        async for item in items:
            if skip:
                skip -= 1
            elif not put(item):
                await bridge.request_refused(writer)
            turn -= 1
            if not turn:
                turn = TURN
                await asyncio.sleep(0)
    finally:
        await items.aclose()  # type: ignore[attr-defined]


def _write_plain_items(
    writer: _native.Writer, items: Iterator[Any], skip: int, cancellation: _native.Cancellation
) -> None:
    put = writer.put_waiting
    try:
        for item in items:
            if skip:
                skip -= 1
            elif not put(item, cancellation):
                return
            if cancellation.cancelled:
                return
    finally:
        items.close()  # type: ignore[attr-defined]


def _was_cancelled() -> bool:
    """Whether somebody cancelled the present task, as `asyncio.run` does at its end; Python 3.10 does not tell."""
    cancelling: Any = getattr(asyncio.current_task(), "cancelling", None)
    return cancelling is not None and cancelling() > 0


class _Signals:
    """Hears SIGINT and SIGTERM within a block, if this is the main thread."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event = asyncio.Event()
        self._interrupted = False
        self._hurry: Callable[[], None] | None = None

    def __enter__(self) -> _Signals:
        if self._wanted:
            self._loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.getsignal(number)
                try:
                    self._loop.add_signal_handler(number, self._hear, number)
                except NotImplementedError:
                    # Windows: the handler runs between two steps of the interpreter.
                    signal.signal(number, self._hear_plainly)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            if self._loop is not None:
                try:
                    self._loop.remove_signal_handler(number)
                except NotImplementedError:
                    pass
            if before is not None:
                signal.signal(number, before)

    def _hear_plainly(self, number: int, _frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hear, number)

    def _hear(self, number: int) -> None:
        if self._stop.is_set() and self._hurry is not None:
            self._hurry()
        self._interrupted = self._interrupted or number == signal.SIGINT
        self._stop.set()

    def wait(self) -> asyncio.Task[Any]:
        """A task that ends when a signal has come."""
        return asyncio.ensure_future(self._stop.wait())

    def again(self, hurry: Callable[[], None]) -> None:
        """What to do when another one comes."""
        self._hurry = hurry

    async def first(self, starting: asyncio.Task[Running]) -> Running | None:
        """What is starting; `None`, and it is given up, if a signal comes before."""
        stopped = self.wait()
        try:
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                return starting.result()
            starting.cancel()
            await asyncio.wait([starting])
            self.exit()
            return None
        except asyncio.CancelledError:
            starting.cancel()
            raise
        finally:
            stopped.cancel()

    def exit(self) -> None:
        """After Ctrl-C the process ends as one does that was interrupted, without a traceback."""
        if self._interrupted:
            raise SystemExit(130)


async def run(
    agent: str | None = None,
    delegates: Mapping[str, Callable[..., Any]] | None = None,
    *,
    use_instances: bool = False,
    use_deploy_init: bool = False,
    sync_handlers: str = "thread",
    concurrency: int = 1024,
    work_group: str = "",
    grace: float = 30.0,
    endpoint: str | None = None,
    signals: bool = True,
) -> None:
    """Run an agent process: `delegates` are functions by name.

    With `use_instances` it serves the instance alone that `X_PERPER_INSTANCE` names, if any. `Init` runs for each instance
    that enters this process, or, with `use_deploy_init`, once in the process. Serves until Ctrl-C or SIGTERM.
    """
    delegates = dict(delegates or {})
    init = delegates.pop("Init", None)
    described = Agent(
        agent,
        delegates,
        sync_handlers=sync_handlers,
        concurrency=concurrency,
        work_group=work_group,
        grace=grace,
    )
    if init is not None:
        described._hook(DEPLOY if use_deploy_init else ENTER, init)
        if use_deploy_init:
            described._deploy_instance = f"{described.name}-Init"
    instance = os.environ.get("X_PERPER_INSTANCE", "") if use_instances else ""
    await described.run(endpoint=endpoint, instance=instance, signals=signals)


def register_delegate(delegate: str, function: Callable[..., Any]) -> Running:
    """Serve one more delegate of the current agent, beside those that it has: in a notebook, for one."""
    from .ambient import context

    current = context()
    described = Agent(current.agent, {delegate: function})
    instance = current.instance
    if instance.endswith(("-deploy", "-Init")):
        instance = ""
    return Running(described, current._session, instance or None, owned=False)
