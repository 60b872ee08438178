"""Daemon threads for plain functions: as many as there are functions that run, so that nested calls never starve."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

IDLE_SECONDS = 10.0
"""How long a thread waits for something to do before it ends."""

_lock = threading.Lock()
_idle: deque[_Worker] = deque()


class _Worker:
    def __init__(self, job: Callable[[], None]) -> None:
        self.jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.jobs.put(job)
        threading.Thread(target=self.work, name="perper-handler", daemon=True).start()

    def work(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                # It was taken for a job a moment ago.
                continue
            job()
            # Nothing of the job may be kept alive by a thread that waits.
            del job
            with _lock:
                _idle.append(self)


def start(job: Callable[[], None]) -> None:
    """Run something in a thread that is free, or in a new one."""
    with _lock:
        # The one that was busy last: the others get old, and end.
        worker = _idle.pop() if _idle else None
    if worker is None:
        _Worker(job)
    else:
        worker.jobs.put(job)


async def run(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a thread, in the present context, and wait for what it returns.

    Cancelling this does not stop the function: nothing can.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def conclude(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        elif isinstance(error, StopIteration):
            # A future does not take it, as little as a generator does.
            future.set_exception(RuntimeError("a plain function raised StopIteration"))
        else:
            future.set_exception(error)

    def job() -> None:
        result, error = None, None
        try:
            result = context.run(function, *arguments)
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(conclude, result, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            pass
        finally:
            del error

    start(job)
    return await future


def _forked() -> None:
    global _lock
    # The parent's threads are not here, and one of them may have held the lock.
    _lock = threading.Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
