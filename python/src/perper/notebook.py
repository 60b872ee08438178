"""Perper in a notebook: cells call agents, and may serve delegates."""

from __future__ import annotations

from .ambient import Context, set_connected
from .session import Session

__all__ = ["run_notebook"]


def run_notebook(*, agent: str = "notebook", instance: str = "notebook-Main", endpoint: str | None = None) -> Context:
    """Make this process an instance of an agent, for all cells of a notebook.

    It is no coroutine and returns at once; what cells ask for waits until there is a connection. The instance is there in
    every run of the notebook, with its state. `perper.register_delegate` serves functions of the notebook to others.
    """
    notebook = Context(Session.start(endpoint=endpoint), agent, instance)
    set_connected(notebook)
    return notebook
