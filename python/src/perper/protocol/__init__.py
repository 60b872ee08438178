"""The layer below: executions and streams by hand, for those who build something else on the Fabric.

Everything here works over the current connection, as the rest of the package does: that of `perper.connect`, of a handler,
or of the only agent that runs.
"""

from __future__ import annotations

from ..session import Session
from .executions import (
    cancel_execution,
    complete_execution,
    create_execution,
    forget_execution,
    wait_execution,
)
from .listen import Activation, LinkedStream, Listen, listen
from .listener import ItemsPage, Listener, ListenerStart, attach_listener, read_items

__all__ = [
    "Activation",
    "ItemsPage",
    "LinkedStream",
    "Listen",
    "Listener",
    "ListenerStart",
    "Session",
    "attach_listener",
    "cancel_execution",
    "complete_execution",
    "create_execution",
    "forget_execution",
    "listen",
    "read_items",
    "wait_execution",
]
