"""What the code that runs belongs to. It goes along with `await`, tasks, and threads that are given a copy of it."""

from __future__ import annotations

import contextvars
import math
import os
import time
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import DeadlineExceededError, InvalidArgumentError, InvalidSettingsError
from .session import Session, Way

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Context", "connect", "context", "timeout", "try_context"]

CALL = 10


class Invocation:
    """One activation of a handler: shared by all contexts within it, and over at some time."""

    __slots__ = ("cancellation", "number", "over")

    def __init__(self, number: int) -> None:
        self.number = number
        self.over = False
        # Made when somebody waits in a thread; most never do.
        self.cancellation: _native.Cancellation | None = None


class Context:
    """The agent, its instance, the execution and the connection that the current code works for."""

    __slots__ = (
        "_deadline",
        "_invocation",
        "_session",
        "agent",
        "attempt",
        "delegate",
        "execution",
        "headers",
        "incarnation",
        "instance",
        "traceparent",
        "tracestate",
    )

    def __init__(
        self,
        session: Session,
        agent: str = "",
        instance: str = "",
        invocation: Invocation | None = None,
        deadline: float | None = None,
        execution: str = "",
        delegate: str = "",
        attempt: int = 0,
        incarnation: int = 0,
        traceparent: str = "",
        tracestate: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        self._session, self._invocation, self._deadline = session, invocation, deadline
        self.agent, self.instance = agent, instance
        self.execution, self.delegate = execution, delegate
        self.attempt, self.incarnation = attempt, incarnation
        self.headers = headers or {}
        self.traceparent, self.tracestate = traceparent, tracestate

    @classmethod
    def _of_activation(cls, session: Session, invocation: Invocation, record: tuple[Any, ...]) -> Context:
        """That of an execution which has come, as `_native.Port.drain` gives it."""
        attempt, incarnation, remaining, execution, agent, instance, delegate = record[3:10]
        deadline = time.monotonic() + remaining / 1000 if remaining else None
        # By position, since that is quicker, and done for every call that comes; the last are trace and headers.
        return cls(
            session, agent, instance, invocation, deadline, execution, delegate, attempt, incarnation, *record[10:13]
        )

    def __repr__(self) -> str:
        return f"<Context of {self.agent}/{self.instance} {self.delegate} {self.execution}>"

    @property
    def remaining(self) -> float | None:
        """Seconds until what runs here must be done; `None` without a deadline."""
        if self._deadline is None or (self._invocation is not None and self._invocation.over):
            return None
        return max(0.0, self._deadline - time.monotonic())

    @property
    def owner(self) -> str:
        """Whose property the things are that are made here."""
        return self.instance

    def use(self) -> AbstractContextManager[Context]:
        """Make this the current context within a block: `with context.use(): …`."""
        return _Use(self)

    async def close(self) -> None:
        """End the session of `connect`: calls in flight are cancelled, and this is no default any more."""
        if _connected is self:
            set_connected(None)
        await self._session.close()

    def _derived(self, **changes: Any) -> Context:
        derived = Context(self._session)
        for name in Context.__slots__:
            setattr(derived, name, changes.get(name, getattr(self, name)))
        return derived

    def _number(self) -> int:
        """The invocation as the core counts; 0 for none."""
        invocation = self._invocation
        return 0 if invocation is None or invocation.over else invocation.number

    def _milliseconds(self, timeout: float | None) -> int:
        """The time for a call; 0 for any. It rounds up, since 0 would be no deadline at all."""
        if timeout is None and self._deadline is None:
            return 0
        remaining = self.remaining
        if remaining is not None and (timeout is None or remaining < timeout):
            timeout = remaining
        if timeout is None:
            return 0
        if timeout <= 0:
            raise DeadlineExceededError("the time for this call is over before it is made")
        if math.isinf(timeout):
            return 0
        return math.ceil(timeout * 1000)

    def _cancellation(self) -> _native.Cancellation | None:
        invocation = self._invocation
        if invocation is None or invocation.over:
            return None
        if invocation.cancellation is None:
            invocation.cancellation = _native.Cancellation()
        return invocation.cancellation

    def _way(self) -> Way:
        return self._session.way(self)

    def _request(self, operation: int, *fields: Any) -> Coroutine[Any, Any, Any]:
        return self._session.way(self).request(operation, *fields)

    def _call(
        self, agent: str, instance: str, delegate: str, parameters: tuple[Any, ...], timeout: float | None
    ) -> Coroutine[Any, Any, Any]:
        return self._session.way(self).request(
            CALL,
            self._number(),
            self._milliseconds(timeout),
            agent,
            instance,
            delegate,
            parameters,
            self._headers(),
        )

    def _create(self, operation: int, *fields: Any) -> None:
        self._session.create(operation, self._number(), *fields)

    def _headers(self) -> dict[str, str] | None:
        """The trace, where the core does not know it: outside of an invocation, or after it."""
        if not self.traceparent or self._number():
            return None
        headers = {"traceparent": self.traceparent}
        if self.tracestate:
            headers["tracestate"] = self.tracestate
        return headers


_current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("perper.context", default=None)
_connected: Context | None = None
_running: list[Context] = []


def try_context() -> Context | None:
    """The current context, if there is one."""
    current = _current.get()
    if current is not None:
        return current
    if _connected is not None:
        return _connected
    return _running[0] if len(_running) == 1 else None


def context() -> Context:
    """The current context. Where none is set, that of `connect()`, of a notebook, or of the only running agent."""
    current = try_context()
    if current is None:
        message = "there is no context here: call this from a handler, or after `await perper.connect()`"
        if _running:
            message = (
                "there is no context here, and this process runs several agents, so that none of them is the default; "
                "threads keep the context if they run in a copy of it (contextvars.copy_context)"
            )
        raise InvalidSettingsError(message)
    return current


def require_agent(current: Context, what: str) -> None:
    """Complain where something needs an agent and the context has none."""
    if not current.agent:
        message = f"{what} names no agent, and this context has none; use call_agent, or set X_PERPER_AGENT"
        raise InvalidArgumentError(message)


def client_context(session: Session) -> Context:
    """The context of a program that is no agent."""
    return Context(session, os.environ.get("X_PERPER_AGENT", ""), os.environ.get("X_PERPER_INSTANCE", ""))


async def connect(
    *,
    endpoint: str | None = None,
    token: str | None = None,
    ca_file: str | None = None,
    identity_files: tuple[str, str] | None = None,
) -> Context:
    """Connect to a Fabric, and make that the default of this process. For programs that are no agents.

    What is not given comes from the environment: `PERPER_FABRIC_ENDPOINT`, `PERPER_TOKEN`, `PERPER_CA_FILE`.
    """
    session = Session.start(endpoint=endpoint, token=token, ca_file=ca_file, identity_files=identity_files)
    try:
        await session.ready()
    except BaseException:
        await session.close()
        raise
    connected = client_context(session)
    set_connected(connected)
    return connected


def set_connected(connected: Context | None) -> Context | None:
    """Make a context the process' default, and give the one before."""
    global _connected
    before, _connected = _connected, connected
    return before


def add_running(running: Context) -> None:
    """An agent runs in this process."""
    _running.append(running)


def remove_running(running: Context) -> None:
    """It does not run any more."""
    if running in _running:
        _running.remove(running)


class _Use:
    def __init__(self, used: Context) -> None:
        self._used = used
        self._token: contextvars.Token[Context | None] | None = None

    def __enter__(self) -> Context:
        self._token = _current.set(self._used)
        return self._used

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _current.reset(self._token)


class timeout:  # noqa: N801 (used like a function)
    """Set a deadline for all calls within, here and wherever they lead: `with perper.timeout(5): …`.

    A deadline that is earlier already stays. What passes it fails with `DeadlineExceededError`, which is a `TimeoutError`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._token: contextvars.Token[Context | None] | None = None

    def __enter__(self) -> None:
        current = context()
        deadline = time.monotonic() + self._seconds
        if current.remaining is not None and current._deadline is not None:
            deadline = min(deadline, current._deadline)
        self._token = _current.set(current._derived(_deadline=deadline))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, where)


def _forked() -> None:
    global _connected
    _native.forked()
    _connected = None
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
