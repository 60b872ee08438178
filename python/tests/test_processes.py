"""What happens to processes: forks, ends, signals, kills, loops that come and go."""

import asyncio
import os
import re
import signal
import sys
import time

import pytest

import perper
from perper.protocol import listen


async def test_a_fork_gets_a_clear_error_and_may_start_anew(script):
    done = script(
        """
        import asyncio, os, sys, perper

        async def main():
            async def greet(name):
                return f"Hello, {name}!"
            async with perper.Agent("Greeter", {"Greet": greet}).running():
                return await perper.call("Greet", "parent")

        perper.blocking.connect()
        context = perper.context()
        print(asyncio.run(main()), flush=True)
        child = os.fork()
        if child == 0:
            try:
                context._session.connection.new_id()
            except perper.ForkedError as error:
                print("refused:", error.message.split(",")[0], flush=True)
            try:
                perper.context()
            except perper.InvalidSettingsError:
                print("no context", flush=True)
            print(asyncio.run(main()), flush=True)
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        print(asyncio.run(main()), flush=True)
        """
    )
    assert done.stdout.splitlines() == [
        "Hello, parent!",
        "refused: this was made before the process was forked",
        "no context",
        "Hello, parent!",
        "Hello, parent!",
    ]


async def test_the_interpreter_exits_with_work_in_flight(script):
    done = script(
        """
        import asyncio, threading, time, perper

        async def forever():
            await asyncio.Event().wait()

        def blocks():
            waiting.set()
            perper.blocking.call("Forever")

        waiting = threading.Event()
        perper.blocking.connect()

        async def main():
            running = await perper.Agent("Exit", {"Forever": forever, "Blocks": blocks}).start()
            agent = perper.PerperAgent("Exit")
            calls = [asyncio.ensure_future(perper.call_agent(agent, "Blocks")) for _ in range(3)]
            calls.append(asyncio.ensure_future(perper.call_agent(agent, "Forever")))
            items = aiter(perper.create_blank_stream())
            calls.append(asyncio.ensure_future(anext(items)))
            await asyncio.to_thread(waiting.wait, 20)
            print("in flight at", time.monotonic(), flush=True)

        asyncio.run(main())
        """
    )
    ended = time.monotonic()
    in_flight = re.fullmatch(r"in flight at (.*)\n", done.stdout)
    assert "panicked" not in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    # All that was in flight would take for ever, and its grace alone takes 30 s.
    assert ended - float(in_flight[1]) < 20


async def test_the_interpreter_exits_with_a_fabric_running(script):
    done = script(
        """
        import perper

        fabric = perper.embedded().start()
        things = perper.create_dictionary()
        perper.blocking.wait(things.set("a", 1))
        items = perper.blocking.enumerate_stream(perper.create_blank_stream())
        print("running", flush=True)
        """
    )
    assert done.stdout == "running\n"
    assert done.stderr == ""


async def test_asyncio_run_twice_over_one_connection(script):
    done = script(
        """
        import asyncio, perper

        perper.blocking.connect()
        things = perper.create_dictionary(detached=True)

        async def count():
            await things.set("n", await things.get("n", 0) + 1)
            return await things.get("n")

        print([asyncio.run(count()) for _ in range(3)], perper.blocking.wait(things.get("n")))
        """
    )
    assert done.stdout == "[1, 2, 3] 3\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
async def test_uvloop(script):
    pytest.importorskip("uvloop")
    done = script(
        """
        import asyncio, uvloop, perper

        async def numbers(count):
            for number in range(count):
                yield number

        async def main():
            async with perper.Agent("Loop", {"Numbers": numbers, "Plain": lambda: perper.get_state("a", 1)}).running():
                assert "uvloop" in type(asyncio.get_running_loop()).__module__
                print(await perper.call("Plain"), sum([n async for n in perper.start_stream("Numbers", 100)]))

        uvloop.run(main())
        """
    )
    assert done.stdout == "1 4950\n"


async def test_a_loop_without_readers(script):
    done = script(
        """
        import asyncio, perper

        class Bare(asyncio.SelectorEventLoop):
            def add_reader(self, *_):
                raise NotImplementedError

            def _add_reader(self, *arguments):
                return super()._add_reader(*arguments)

        async def main():
            async with perper.Agent("Bare", {"Echo": lambda value: value}).running():
                print([await perper.call("Echo", n) for n in range(5)])

        loop = Bare()
        loop.run_until_complete(main())
        loop.close()
        """
    )
    assert done.stdout == "[0, 1, 2, 3, 4]\n"


async def test_sub_interpreters_are_refused(script):
    done = script(
        """
        import perper

        try:
            # From Python 3.13 on.
            import _interpreters as interpreters
            print(interpreters.exec(interpreters.create(), "import perper"))
        except ImportError:
            import _xxsubinterpreters as interpreters
            try:
                interpreters.run_string(interpreters.create(), "import perper")
            except interpreters.RunFailedError as error:
                print(error)
        """
    )
    assert "perper does not run in a sub-interpreter" in done.stdout, done.stderr


async def test_kill_9_moves_the_calls(process, soon):
    source = """
        import asyncio, os, perper

        async def work():
            print("working", flush=True)
            if gate:
                await asyncio.Event().wait()
            return os.getpid(), perper.context().attempt

        gate = os.environ.get("GATE") == "closed"

        async def main():
            app = perper.Agent("Worker", {"Work": work})
            running = await app.start()
            print("ready", flush=True)
            await running.ended()

        asyncio.run(main())
    """
    with process(source, GATE="closed") as first:
        call = asyncio.create_task(perper.call_agent(perper.PerperAgent("Worker"), "Work"))
        assert await soon(asyncio.to_thread(first.stdout.readline)) == "working\n"
        with process(source, GATE="open") as second:
            first.send_signal(signal.SIGKILL)
            pid, attempt = await soon(call, 40)
            assert (pid, attempt) == (second.pid, 2)


RUNNER = """
    import asyncio, sys, perper

    async def slow():
        print("working", flush=True)
        await asyncio.sleep(0.3)
        return "done"

    async def stuck():
        print("working", flush=True)
        await asyncio.Event().wait()

    async def main():
        serving = asyncio.ensure_future(perper.run("Runner", {"Slow": slow, "Stuck": stuck}, grace=float(sys.argv[1])))
        while not perper.ambient._running:
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        await serving

    asyncio.run(main())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
async def test_a_signal_drains(process, soon, number, code):
    with process(RUNNER, "30") as runner:
        call = asyncio.create_task(perper.call_agent(perper.PerperAgent("Runner"), "Slow"))
        assert await soon(asyncio.to_thread(runner.stdout.readline)) == "working\n"
        runner.send_signal(number)
        assert await soon(call) == "done"
        out, err = await soon(asyncio.to_thread(runner.communicate))
        assert (runner.returncode, out) == (code, "")
        assert "Traceback" not in err, err


async def test_after_the_grace_the_rest_is_given_back(process, soon):
    with process(RUNNER, "0.2") as runner:
        call = asyncio.create_task(perper.call_agent(perper.PerperAgent("Runner"), "Stuck"))
        assert await soon(asyncio.to_thread(runner.stdout.readline)) == "working\n"
        runner.send_signal(signal.SIGINT)
        _, err = await soon(asyncio.to_thread(runner.communicate))
        assert runner.returncode == 130
        assert "the grace is over" in err
        assert "Traceback" not in err, err
        # Another worker gets it.
        async with perper.Agent("Runner", {"Stuck": lambda: "unstuck"}).running():
            assert await soon(call) == "unstuck"


async def test_ctrl_c_while_there_is_no_fabric(process):
    source = """
        import asyncio, logging, perper

        class Ready(logging.Handler):
            def emit(self, record):
                if "waiting for it" in record.getMessage():
                    print("ready", flush=True)

        logging.getLogger().addHandler(Ready())
        asyncio.run(perper.run("Waiter", {}, endpoint="http://127.0.0.1:1"))
    """
    with process(source) as waiter:
        waiter.send_signal(signal.SIGINT)
        _, err = waiter.communicate(timeout=20)
        assert waiter.returncode == 130
        assert "Traceback" not in err, err


async def test_ctrl_c_interrupts_a_thread_that_waits(process, soon):
    source = """
        import perper

        perper.blocking.connect()
        try:
            print("ready", flush=True)
            perper.blocking.call_agent(perper.PerperAgent("Nobody"), "Answers")
        except KeyboardInterrupt:
            print("interrupted")
    """
    with process(source) as caller:
        async with listen("Nobody", "Answers") as activations:
            # The call has come, and is not answered.
            await soon(anext(activations))
            caller.send_signal(signal.SIGINT)
            out, err = await soon(asyncio.to_thread(caller.communicate))
        assert out == "interrupted\n", err


async def test_a_process_that_starts_before_the_fabric_waits(script):
    done = script(
        """
        import asyncio, logging, socket, sys, perper

        class Told(logging.Handler):
            def emit(self, record):
                if "waiting for it" in record.getMessage():
                    loop.call_soon_threadsafe(waits.set)

        async def main():
            global loop, waits
            loop, waits = asyncio.get_running_loop(), asyncio.Event()
            logging.basicConfig(format="%(message)s")
            logging.getLogger().addHandler(Told())
            with socket.socket() as place:
                # Held until the end, so that nobody else gets the port; the Fabric may have it all the same.
                place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                place.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{place.getsockname()[1]}"
                connecting = asyncio.ensure_future(perper.connect(endpoint=f"http://{address}"))
                await asyncio.wait_for(waits.wait(), 20)
                assert not connecting.done()
                server = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "perper", "fabric", "--address", address, stdout=asyncio.subprocess.PIPE
                )
                await server.stdout.readline()
                await asyncio.wait_for(connecting, 20)
                print("connected")
                server.terminate()
                await server.wait()

        asyncio.run(main())
        """
    )
    assert done.stdout == "connected\n", done.stderr
    assert done.stderr.count("waiting for it") == 1


@pytest.mark.timeout(600)
async def test_nothing_leaks_in_a_soak(agent, soon):
    """No threads and no references stay behind: 100,000 calls, or as many as PERPER_SOAK says."""
    import gc
    import threading

    calls = int(os.environ.get("PERPER_SOAK", "100000"))

    async def echo(value):
        return value

    def plain(value):
        return value

    async with agent("Soak", {"Echo": echo, "Plain": plain}):

        async def some(count):
            for start in range(0, count, 200):
                delegates = ["Plain" if number % 10 == 0 else "Echo" for number in range(start, start + 200)]
                got = await asyncio.gather(*(perper.call(d, {"n": [i]}) for i, d in enumerate(delegates)))
                assert [value["n"][0] for value in got] == list(range(200))

        await some(1000)
        gc.collect()
        threads, objects = threading.active_count(), len(gc.get_objects())
        await soon(some(calls), 600)
        gc.collect()
        assert threading.active_count() <= threads + 20
        assert len(gc.get_objects()) - objects < 1000
        bridge = perper.context()._session._bridges[asyncio.get_running_loop()]
        assert not bridge._futures
        assert threading.active_count() < 250
