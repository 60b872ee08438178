"""The operations on the ambient context, under the name that this part had in Perper 0.8: all of them are in `perper`."""

from __future__ import annotations

from .blocking import get_state, remove_state, set_state
from .calls import call, call_agent, destroy_agent, get_agent, start_agent
from .streams import (
    create_blank_stream,
    declare_stream,
    destroy_stream,
    enumerate_stream,
    enumerate_stream_with_keys,
    local_stream,
    query_stream,
    replay_stream,
    start_stream,
)

__all__ = [
    "call",
    "call_agent",
    "create_blank_stream",
    "declare_stream",
    "destroy_agent",
    "destroy_stream",
    "enumerate_stream",
    "enumerate_stream_with_keys",
    "get_agent",
    "get_state",
    "local_stream",
    "query_stream",
    "remove_state",
    "replay_stream",
    "set_state",
    "start_agent",
    "start_stream",
]
