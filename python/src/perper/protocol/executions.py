"""Executions by hand: made without waiting for their end, waited for, ended."""

from __future__ import annotations

from typing import Any

from ..ambient import context
from ..failures import failure_of
from ..model import PerperAgent, PerperExecution
from ..session import CREATE_EXECUTION

__all__ = [
    "cancel_execution",
    "complete_execution",
    "create_execution",
    "forget_execution",
    "wait_execution",
]

WAIT, CANCEL, FORGET, COMPLETE_MANUAL = 14, 15, 16, 17


async def create_execution(
    agent: PerperAgent,
    delegate: str,
    *parameters: Any,
    execution: str | None = None,
    attached: bool = False,
    manual: bool = False,
    timeout: float | None = None,
) -> PerperExecution:
    """Create an execution without waiting for its end.

    `attached`, it is a child of the current one, and ends with it. A `manual` one can be completed by anybody.
    """
    current = context()
    identity = execution or current._session.connection.new_id()
    await current._request(
        CREATE_EXECUTION,
        current._number(),
        attached,
        current._milliseconds(timeout),
        identity,
        agent.agent,
        agent.instance,
        delegate,
        parameters,
        current._headers(),
        "" if attached else current.owner,
        "",
        False,
        manual,
    )
    return PerperExecution(identity)


async def wait_execution(execution: PerperExecution) -> Any:
    """Wait for the end of an execution, and give its result."""
    return await context()._request(WAIT, execution.execution)


async def cancel_execution(execution: PerperExecution) -> None:
    """Cancel an execution, and every call attached below it."""
    await context()._request(CANCEL, execution.execution)


async def forget_execution(execution: PerperExecution) -> None:
    """Forget an execution that has ended; cancel and forget one that has not."""
    await context()._request(FORGET, execution.execution)


async def complete_execution(
    execution: PerperExecution, result: Any = None, error: BaseException | None = None
) -> None:
    """Complete a manual execution: with a result (a tuple is several), or with an error."""
    failure = None if error is None else failure_of(error)
    await context()._request(COMPLETE_MANUAL, execution.execution, (failure, result))
