"""The command line: `python -m perper`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

USAGE = """\
usage: python -m perper COMMAND

  run MODULE:NAME                    run an agent: a perper.Agent, or a coroutine function
  fabric [FLAGS…]                    run a server (see fabric --help)
  call AGENT[/INSTANCE] DELEGATE [ARGUMENTS…]   call a delegate, and print its results as JSON
  stream tail STREAM                 print the items of a stream as they come, as JSON
  ps                                 what there is: agents, instances, streams, sessions

PERPER_FABRIC_ENDPOINT says where the Fabric is: http://127.0.0.1:40400 by default.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and give the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        print(USAGE, end="")
        return 0 if arguments else 2
    if arguments[0] == "run":
        return _run(arguments[1:])
    from . import _native

    with _signals_of_the_system():
        return _native.cli(arguments)


@contextlib.contextmanager
def _signals_of_the_system() -> Iterator[None]:
    """Ctrl-C is for the command, as in a program without Python: it ends it, or makes the server stop in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Python's own handler would wait until the command is over, and then raise.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _woken_by_signals(function: Callable[[], Awaitable[object]]) -> None:
    """Run a coroutine function in a loop that no signal is lost on.

    Python runs the handler of a signal when it next runs anything. `asyncio.run` does not see to that: of a signal that
    comes just before the loop begins to wait, or to another thread, it would hear only when something else happens.
    """
    import asyncio
    import socket

    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as ending:
        if threading.current_thread() is threading.main_thread():
            heard, told = (ending.enter_context(end) for end in socket.socketpair())
            heard.setblocking(False)
            told.setblocking(False)
            # Windows' loop has no readers, and is woken as it is.
            with contextlib.suppress(NotImplementedError):
                loop.add_reader(heard, heard.recv, 256)
                ending.callback(loop.remove_reader, heard)
                ending.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False))
        await function()


def _run(arguments: list[str]) -> int:
    if len(arguments) != 1 or ":" not in arguments[0]:
        print("usage: python -m perper run MODULE:NAME", file=sys.stderr)
        return 2
    import asyncio
    import importlib

    module_name, _, name = arguments[0].partition(":")
    # As for `python -m`: what stands in the current folder can be run.
    sys.path.insert(0, "")
    try:
        target = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name != module_name.partition(".")[0] and error.name != module_name:
            raise
        print(f"there is no module {module_name}", file=sys.stderr)
        return 2
    except AttributeError:
        print(f"the module {module_name} has no {name}", file=sys.stderr)
        return 2
    from .application import Agent

    try:
        asyncio.run(target.run() if isinstance(target, Agent) else _woken_by_signals(target))
    except KeyboardInterrupt:
        # A coroutine function that handles no signals.
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
