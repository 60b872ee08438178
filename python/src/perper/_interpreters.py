"""Sub-interpreters: refused, since connections, threads and classes of exceptions belong to the whole process."""

from __future__ import annotations

import importlib


def check() -> None:
    """Fail in any interpreter of this process but the first."""
    # The module has had two names, and some builds leave it out.
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError(
                "perper does not run in a sub-interpreter: its connections belong to the whole process. Import it in "
                "the main interpreter, and use threads or processes"
            )
        return


check()
