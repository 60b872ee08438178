"""Calls: arguments, results, errors, context, cancellation, deadlines, and handlers of every kind."""

import asyncio
import contextvars
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import perper
from perper.errors import (
    DeadlineExceededError,
    ExecutionCancelledError,
    ExecutionError,
    InvalidArgumentError,
    InvalidSettingsError,
    NotFoundError,
)


@dataclass
class Order:
    what: str
    price: float = 1.0


async def echo(*values):
    return values


async def join(first, second="default"):
    return f"{first}+{second}"


def buy(what):
    raise LookupError(f"no {what} left")


async def ordered(order: Order, *, ignored=None):
    assert isinstance(order, Order)
    return order


async def test_arguments_and_results(agent):
    async with agent("Calls", {"Echo": echo, "Join": join, "Order": ordered}):
        assert await perper.call("Echo") is None
        assert await perper.call("Echo", 1) == 1
        assert await perper.call("Echo", None) is None
        assert await perper.call("Echo", 1, [2]) == (1, [2])
        assert await perper.call("Join", "a") == "a+default"
        assert await perper.call("Join", "a", "b", "surplus") == "a+b"
        assert await perper.call("Order", {"What": "apples", "price": 2}) == {"what": "apples", "price": 2.0}
        with pytest.raises(ExecutionError, match="missing 1 required positional argument: 'first'"):
            await perper.call("Join")
        with pytest.raises(ExecutionError, match="parameter 'order'"):
            await perper.call("Order", 5)


async def test_a_parameter_that_cannot_be_encoded_is_named(agent):
    async with agent("Calls", {"Echo": echo}):
        with pytest.raises(TypeError, match=r"^parameters\[0\]\['a'\]\[3\]: an object of type object cannot"):
            await perper.call("Echo", {"a": [0, 1, 2, object()]})
        with pytest.raises(TypeError, match=r"^parameters\[1\]"):
            await perper.call("Echo", 0, object())
        # Nothing of it was sent.
        assert await perper.call("Echo", 7) == 7


async def test_a_result_that_cannot_be_encoded_fails_the_call(agent):
    async with agent("Calls", {"Bad": lambda: (1, object()), "Worse": lambda: object()}):
        with pytest.raises(ExecutionError, match=r"results\[1\]"):
            await perper.call("Bad")
        with pytest.raises(ExecutionError, match="result: "):
            await perper.call("Worse")


async def test_errors_carry_type_message_and_traceback(agent):
    async def outer():
        await perper.call("Buy", "apples")

    class OutOfStockError(Exception):
        pass

    async def own():
        raise OutOfStockError("none")

    async with agent("Calls", {"Buy": buy, "Outer": outer, "Own": own}):
        for delegate in ("Buy", "Outer"):
            with pytest.raises(ExecutionError) as raised:
                await perper.call(delegate, "apples")
            assert (raised.value.type, raised.value.message) == ("LookupError", "no apples left")
            assert "in buy" in raised.value.remote_traceback
            assert "in buy" in raised.value.__notes__[0]
        with pytest.raises(ExecutionError) as raised:
            await perper.call("Own")
        assert raised.value.type.endswith("OutOfStockError")


async def test_every_kind_of_error_has_a_class_of_its_own():
    by_code = perper.errors.BY_CODE
    assert len(set(by_code.values())) == len(by_code) >= 40
    assert by_code[54] is ExecutionError
    assert issubclass(DeadlineExceededError, TimeoutError)
    assert not issubclass(ExecutionCancelledError, asyncio.CancelledError)
    for error in by_code.values():
        assert error.__name__ in perper.__all__
        assert error.__doc__


async def test_what_is_not_there(agent):
    async with agent("Calls", {}):
        with pytest.raises(NotFoundError) as raised:
            await perper.get_stream(perper.PerperStream("no such stream"))
        assert raised.value.kind == "NOT_FOUND"
        assert await perper.PerperAgent("Calls", "nobody").stop() is False


@pytest.mark.parametrize("sync_handlers", ["thread", "loop"])
async def test_handlers_of_every_kind(agent, sync_handlers):
    loop_thread = threading.get_ident()
    seen = {}

    def plain(number):
        seen["plain"] = threading.get_ident()
        return number + 1

    class Callable:
        def __call__(self, number):
            return number + 2

        async def method(self, number):
            return number + 3

    async def added(one, other):
        return one + other

    delegates = {
        "Plain": plain,
        "Object": Callable(),
        "Method": Callable().method,
        "Partial": functools.partial(added, 4),
        "Lambda": lambda number: added(number, 5),
        "Builtin": abs,
    }
    async with agent("Kinds", delegates, sync_handlers=sync_handlers):
        results = [await perper.call(delegate, 10) for delegate in delegates]
    assert results == [11, 12, 13, 14, 15, 10]
    assert (seen["plain"] == loop_thread) == (sync_handlers == "loop")


async def test_the_context_goes_along(agent):
    async def described():
        current = perper.context()
        return current.agent, current.instance, current.delegate, current.attempt

    async def kept():
        async def inner():
            return perper.get_agent().instance

        in_task = await asyncio.create_task(inner())
        in_thread = await asyncio.to_thread(lambda: perper.get_agent().instance)
        with ThreadPoolExecutor(1) as pool:
            in_pool = pool.submit(contextvars.copy_context().run, lambda: perper.get_agent().instance).result()
        nothing = await asyncio.get_running_loop().run_in_executor(None, perper.ambient._current.get)
        return [in_task, in_thread, in_pool, nothing is None]

    def plain():
        return perper.get_agent().instance

    async with agent("Context", {"Described": described, "Kept": kept, "Plain": plain}):
        instance, result = await perper.start_agent("Context")
        assert result is None
        assert await instance.call("Described") == ("Context", instance.instance, "Described", 1)
        assert await instance.call("Kept") == [instance.instance] * 3 + [True]
        assert await instance.call("Plain") == instance.instance
        assert perper.get_agent() == perper.PerperAgent("Context", "Context-deploy")


async def test_what_still_runs_after_the_end_keeps_agent_and_loses_the_deadline(agent, soon):
    done = asyncio.get_running_loop().create_future()
    go_on = asyncio.Event()

    async def later():
        async def after():
            await go_on.wait()
            done.set_result((perper.context().remaining, perper.get_agent().agent, await perper.call("Nothing")))

        tasks.append(asyncio.create_task(after()))
        return perper.context().remaining is not None

    tasks = []
    async with agent("After", {"Later": later, "Nothing": lambda: None}):
        assert await perper.call("Later", timeout=60) is True
        go_on.set()
        assert await soon(done) == (None, "After", None)


async def test_cancelling_a_task_cancels_the_handler(agent, soon):
    running, cancelled = asyncio.Event(), asyncio.Event()

    async def wait():
        running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def outer():
        await perper.call("Wait")

    async with agent("Cancel", {"Wait": wait, "Outer": outer}):
        call = asyncio.create_task(perper.call("Outer"))
        await soon(running.wait())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await soon(cancelled.wait())


async def test_a_cancelled_execution_is_an_error_of_its_own(agent, soon):
    running = asyncio.Event()
    found = {}

    async def wait():
        found["execution"] = perper.PerperExecution(perper.context().execution)
        running.set()
        await asyncio.Event().wait()

    async with agent("Cancel", {"Wait": wait}):
        call = asyncio.create_task(perper.call("Wait"))
        await soon(running.wait())
        await perper.protocol.cancel_execution(found["execution"])
        with pytest.raises(ExecutionCancelledError):
            await soon(call)


async def test_deadlines(agent, soon):
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait():
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def remaining():
        return perper.context().remaining

    async def nested():
        return await perper.call("Remaining", timeout=1000)

    async with agent("Deadlines", {"Wait": wait, "Remaining": remaining, "Nested": nested}):
        timeout = 0.05
        # On a busy machine a deadline may pass before the handler begins.
        while not started.is_set():
            with pytest.raises(TimeoutError):
                await soon(perper.call("Wait", timeout=timeout))
            timeout *= 2
        await soon(cancelled.wait())
        assert await perper.call("Remaining") is None
        assert 0 < await perper.call("Nested", timeout=50) <= 50
        with perper.timeout(40):
            assert 0 < await perper.call("Nested") <= 40
            async with perper.timeout(60):
                assert await perper.call("Nested") <= 40
        with perper.timeout(0), pytest.raises(DeadlineExceededError):
            await perper.call("Remaining")


async def test_asyncio_timeout_only_cancels(agent, soon):
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with agent("Timeout", {"Wait": wait}):
        call = asyncio.ensure_future(perper.call("Wait"))
        await soon(started.wait())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(call, 0.05)
        await soon(cancelled.wait())


async def test_blocking_calls_in_threads_nested_deeper_than_any_pool(agent, soon):
    def down(depth):
        return depth if depth == 0 else perper.blocking.call("Down", depth - 1) + 1

    async with agent("Nested", {"Down": down}, concurrency=4):
        assert await soon(perper.call("Down", 60), 60) == 60


async def test_blocking_calls_from_the_loops_own_thread(agent):
    async def asked():
        perper.set_state("n", 5)
        return perper.get_state("n"), perper.get_state("m", default_factory=lambda: 6), perper.get_state("m")

    async with agent("Blocking", {"Asked": asked}):
        assert await perper.call("Asked") == (5, 6, 6)


async def test_a_thread_that_waits_is_told_of_the_cancellation(agent, soon):
    running, told = threading.Event(), threading.Event()

    async def forever():
        running.set()
        await asyncio.Event().wait()

    def waits():
        try:
            perper.blocking.call("Forever")
        except ExecutionCancelledError:
            told.set()
            raise

    async with agent("Waits", {"Forever": forever, "Waits": waits}):
        call = asyncio.create_task(perper.call("Waits"))
        assert await soon(asyncio.to_thread(running.wait, 20))
        call.cancel()
        assert await soon(asyncio.to_thread(told.wait, 20))


async def test_the_life_of_instances(agent, soon):
    log = []
    deployed = asyncio.Event()
    app = perper.Agent("Life")

    @app.on_deploy
    async def deploy():
        log.append(("deploy", perper.get_agent().instance))
        deployed.set()

    @app.on_enter
    def enter():
        log.append(("enter", perper.get_agent().instance))

    @app.on_start
    async def start(value):
        if value == "fail":
            raise ValueError("not like this")
        perper.set_state("value", value)
        return value, "started"

    @app.on_stop
    async def stop():
        log.append(("stop", perper.get_agent().instance))

    @app.delegate("Get")
    async def get():
        return await perper.state().get("value")

    async with agent(app):
        await soon(deployed.wait())
        assert ("deploy", "Life-deploy") in log
        instance, result = await perper.start_agent("Life", 5)
        assert result == (5, "started")
        assert await instance.call("Get") == 5
        await perper.destroy_agent(instance)
        mine = [what for what, which in log if which == instance.instance]
        assert mine == ["enter", "stop"]
        with pytest.raises(ExecutionError, match="not like this"):
            await perper.start_agent("Life", "fail")


async def test_wrong_settings_are_told():
    with pytest.raises(InvalidSettingsError, match="no name"):
        perper.Agent()
    with pytest.raises(InvalidSettingsError, match="two handlers"):
        perper.Agent("A", {"B": echo}).add("B", echo)
    with pytest.raises(InvalidSettingsError, match="a handler is a function"):
        perper.Agent("A", {"B": 5})
    with pytest.raises(InvalidSettingsError, match="'thread' or 'loop'"):
        perper.Agent("A", sync_handlers="process")
    with pytest.raises(InvalidSettingsError, match="no context"):
        perper.context()
    with pytest.raises(InvalidSettingsError, match="no scheme"):
        await perper.connect(endpoint="nonsense")


async def test_a_client_names_the_agent(fabric, agent):
    with pytest.raises(InvalidArgumentError, match="names no agent"):
        await perper.call("Echo")
    async with agent("Calls", {"Echo": echo}):
        pass


async def test_several_agents_in_one_process(agent):
    async with (
        agent("One", {"Echo": echo}),
        agent("Other", {"Echo": echo, "Who": lambda: perper.get_agent().agent}),
    ):
        assert await perper.call("Who") == "Other"
        assert await perper.call_agent(perper.PerperAgent("One"), "Echo", 1) == 1


async def test_calls_in_flight_are_finished_when_the_agent_stops(fabric):
    started = asyncio.Event()

    async def slow():
        started.set()
        await asyncio.sleep(0.1)
        return "done"

    running = await perper.Agent("Drain", {"Slow": slow}).start()
    call = asyncio.create_task(perper.call_agent(perper.PerperAgent("Drain"), "Slow"))
    await started.wait()
    # In flight: it is finished first.
    await running.stop()
    assert await call == "done"


async def test_what_the_core_says_is_logged(agent, caplog, soon):
    import logging

    async def deploy():
        raise ValueError("not today")

    app = perper.Agent("Logs")
    app.on_deploy(deploy)

    async def told():
        while not any("Deploy failed" in record.message for record in caplog.records):
            await asyncio.sleep(0.02)

    async with agent(app):
        await soon(told())
    (record,) = [record for record in caplog.records if "Deploy failed" in record.message]
    assert record.levelno == logging.ERROR
    assert "not today" in record.message


async def test_a_connection_may_be_closed(fabric, soon):
    default = perper.context()
    connected = await perper.connect()
    assert perper.context() is connected
    things = perper.create_dictionary()
    await things.set("a", 1)
    waiting = asyncio.ensure_future(perper.call_agent(perper.PerperAgent("Nobody"), "Answers"))
    await asyncio.sleep(0)
    await soon(connected.close())
    with pytest.raises(perper.ClosedError):
        await soon(waiting)
    assert perper.try_context() is None
    perper.blocking.wait(perper.blocking.connect().close())
    assert perper.try_context() is None
    perper.ambient.set_connected(default)
