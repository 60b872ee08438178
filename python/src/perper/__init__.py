"""Perper: agents that call each other, pass streams and keep state, in as many processes as you like.

```python
import asyncio
import perper

async def greet(name: str) -> str:
    return f"Hello, {name}!"

asyncio.run(perper.run("Greeter", {"Greet": greet}))
```
"""

from __future__ import annotations

import atexit as _atexit

# The first of these refuses sub-interpreters, before the second loads anything native.
from . import _interpreters, _native, blocking, datatypes, errors, protocol
from .ambient import Context, connect, context, timeout, try_context
from .application import Agent, Running, register_delegate, run
from .blocking import get_state, remove_state, set_state
from .calls import call, call_agent, destroy_agent, get_agent, start_agent, stop_agent
from .conversion import convert
from .embedding import EmbeddedFabric, embedded
from .errors import *  # noqa: F403 (one exception for each kind of error)
from .errors import PerperError
from .model import PerperAgent, PerperExecution, PerperStream
from .notebook import run_notebook
from .states import Dictionary, DictionaryBatch, List, create_dictionary, create_list, state
from .streams import (
    StreamWriter,
    complete_stream,
    create_blank_stream,
    declare_stream,
    destroy_stream,
    enumerate_stream,
    enumerate_stream_with_keys,
    get_stream,
    local_stream,
    query_stream,
    remove_listener,
    replay_stream,
    start_stream,
    stream_writer,
    wait_for_listener,
    write_stream,
)
from .values import Elements, Entries, Keyed, Tagged, Timestamp, keyed

__version__ = _native.VERSION

__all__ = [
    "Agent",
    "Context",
    "Dictionary",
    "DictionaryBatch",
    "Elements",
    "EmbeddedFabric",
    "Entries",
    "Keyed",
    "List",
    "PerperAgent",
    "PerperError",
    "PerperExecution",
    "PerperStream",
    "Running",
    "StreamWriter",
    "Tagged",
    "Timestamp",
    "blocking",
    "call",
    "call_agent",
    "complete_stream",
    "connect",
    "context",
    "convert",
    "create_blank_stream",
    "create_dictionary",
    "create_list",
    "datatypes",
    "declare_stream",
    "destroy_agent",
    "destroy_stream",
    "embedded",
    "enumerate_stream",
    "enumerate_stream_with_keys",
    "errors",
    "get_agent",
    "get_state",
    "get_stream",
    "keyed",
    "local_stream",
    "protocol",
    "query_stream",
    "register_delegate",
    "remove_listener",
    "remove_state",
    "replay_stream",
    "run",
    "run_notebook",
    "set_state",
    "start_agent",
    "start_stream",
    "state",
    "stop_agent",
    "stream_writer",
    "timeout",
    "try_context",
    "wait_for_listener",
    "write_stream",
]
__all__ += errors.__all__

del _interpreters

_atexit.register(_native.close)
