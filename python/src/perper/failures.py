"""How an exception is told to whoever called."""

from __future__ import annotations

from .errors import ExecutionError


def failure_of(error: BaseException) -> tuple[str, str, str]:
    """Type, message and stack trace. What a callee raised is handed on as it was raised there."""
    if isinstance(error, ExecutionError):
        return error.type, error.message, error.remote_traceback
    # Loaded with the first failure.
    import traceback

    kind = type(error)
    try:
        message = str(error)
    except Exception as unprintable:
        message = f"<its message cannot be told: {unprintable!r}>"
    return kind.__name__, message, "".join(traceback.format_exception(kind, error, error.__traceback__))
