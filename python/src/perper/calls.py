"""Calls of agents, and the life of their instances."""

from __future__ import annotations

from typing import Any

from .ambient import context, require_agent
from .model import PerperAgent

__all__ = ["call", "call_agent", "destroy_agent", "get_agent", "start_agent", "stop_agent"]

START_INSTANCE, STOP_INSTANCE = 11, 12


def get_agent() -> PerperAgent:
    """The current agent and its instance."""
    current = context()
    return PerperAgent(current.agent, current.instance)


async def call(delegate: str, *parameters: Any, timeout: float | None = None) -> Any:
    """Call a delegate of the current instance, and wait for its result.

    One result is returned bare, several as a tuple, none as `None`. Cancelling the task cancels the call.
    """
    current = context()
    require_agent(current, f"the call of {delegate!r}")
    return await current._call(current.agent, current.instance, delegate, parameters, timeout)


async def call_agent(agent: PerperAgent, delegate: str, *parameters: Any, timeout: float | None = None) -> Any:
    """Call a delegate of an instance of an agent, and wait for its result; as `call`."""
    return await context()._call(agent.agent, agent.instance, delegate, parameters, timeout)


async def start_agent(
    agent: str, *parameters: Any, instance: str | None = None, timeout: float | None = None
) -> tuple[PerperAgent, Any]:
    """Start an instance of an agent; gives the reference to it, and what its `Start` delegate returned.

    The instance belongs to the current one, if there is one: it is stopped with it. `instance` gives it an id of one's
    own, which nobody else may use.
    """
    current = context()
    if instance is None:
        instance = current._session.connection.new_id()
    _, result = await current._request(
        START_INSTANCE,
        current._number(),
        current._milliseconds(timeout),
        agent,
        instance,
        current.owner,
        parameters,
        current._headers(),
    )
    return PerperAgent(agent, instance), result


async def stop_agent(agent: PerperAgent, *, force: bool = False, timeout: float | None = None) -> bool:
    """Stop an instance: call its `Stop` delegate (unless `force`), cancel the rest, destroy what it owns.

    False when there was no such instance.
    """
    current = context()
    return bool(await current._request(STOP_INSTANCE, agent.instance, force, current._milliseconds(timeout)))


async def destroy_agent(agent: PerperAgent) -> None:
    """Stop an instance; see `stop_agent`."""
    await stop_agent(agent)
