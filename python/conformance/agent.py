"""The agent that peers serve."""

import asyncio
import contextlib
import json
import os
import sys

from notation import to_json

import perper


def line(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def event(name, detail=None):
    current = perper.try_context()
    line({"event": name, "instance": current.instance if current else None, "detail": to_json(detail)})


class Gate:
    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()


gate = Gate()


class OutOfStock(Exception):
    def __init__(self, what):
        super().__init__(f"no {what} left")


@contextlib.contextmanager
def telling_of_cancellation():
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        event("cancelled")
        raise


async def echo(*values):
    return values


def nothing():
    """A plain function, which runs in a thread."""


async def join(first: str, second: str = "default"):
    return f"{first}+{second}"


def buy(what):
    raise OutOfStock(what)


def results(value):
    """One result that is a list is one; several came as a tuple, and go on as one."""
    return value


async def forward(delegate, *arguments):
    return results(await perper.call(delegate, *arguments))


async def ask(agent, delegate, *arguments):
    return results(await agent.call(delegate, *arguments))


async def wait():
    with telling_of_cancellation():
        event("running", perper.context().execution)
        await asyncio.Event().wait()


async def work():
    event("working")
    await gate.open.wait()
    return os.environ.get("PERPER_CONFORMANCE_NAME", ""), perper.context().attempt


async def execute(command):
    from peer import outcome, run_command

    return json.dumps(await outcome(run_command(json.loads(command))))


async def start(*arguments):
    event("start")
    if arguments == ("fail",):
        raise OutOfStock("instances")
    return arguments


async def numbers(first, last):
    for number in range(first, last):
        yield number


def keyed(entries):
    """A plain generator, which runs in a thread."""
    yield from ((key, value) for key, value in entries)


def packed(entries):
    yield from (perper.keyed(key, value) for key, value in entries)


async def fail_after(count):
    for number in range(count):
        yield number
    raise OutOfStock("numbers")


async def hang(count):
    with telling_of_cancellation():
        event("running")
        for number in range(count):
            yield number
        await asyncio.Event().wait()


async def squares(stream):
    async for number in stream:
        yield number * number


async def bounce(other, first):
    if first:
        yield 0
    async for number in other.replay():
        if number >= 9:
            return
        yield number + 1


async def resumable(count):
    for number in range(count):
        if number == 2:
            event("at the gate")
            await gate.open.wait()
        yield number


async def resumable_keyed(count):
    async for number in resumable(count):
        yield number * 10, number


def described():
    app = perper.Agent(
        None,
        {
            "Echo": echo,
            "Nothing": nothing,
            "Join": join,
            "Buy": buy,
            "Forward": forward,
            "Ask": ask,
            "Wait": wait,
            "Work": work,
            "Do": execute,
            "Start": start,
            "Numbers": numbers,
            "Keyed": keyed,
            "FailAfter": fail_after,
            "Hang": hang,
            "Squares": squares,
            "Bounce": bounce,
            "ResumableKeyed": resumable_keyed,
        },
    )
    app.stream("Packed", packed=True, ephemeral=False)(packed)
    app.stream("Resumable", resume="skip")(resumable)
    app.on_stop(lambda: event("stop"))
    app.on_deploy(lambda: event("deploy"))
    app.on_upgrade(lambda: event("upgrade"))
    app.on_enter(lambda: event("enter"))
    return app
