"""Fixtures for pytest, there as soon as the package is installed: `fabric`, and `agent`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .application import Agent
from .embedding import embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .application import _RunningBlock
    from .embedding import EmbeddedFabric

__all__ = ["agent", "fabric"]


@pytest.fixture
def fabric() -> Iterator[EmbeddedFabric]:
    """A Fabric in this process, for one test. Agents and `connect` go there by themselves."""
    with embedded() as running:
        yield running


@pytest.fixture
def agent(fabric: EmbeddedFabric) -> Callable[..., _RunningBlock]:
    """Run an agent within a block: `async with agent("Greeter", {"Greet": greet}): …`; or one that is described already."""

    def running(
        described: Agent | str, delegates: dict[str, Callable[..., Any]] | None = None, **settings: Any
    ) -> _RunningBlock:
        if not isinstance(described, Agent):
            described = Agent(described, delegates, **settings)
        return described.running(endpoint=fabric.endpoint)

    return running
