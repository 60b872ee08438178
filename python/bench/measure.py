"""The figures of the Python package, beside those of Rust in the same run; `./dev bench-python`.

Servers, callers, workers, writers and listeners are processes of their own. The roles in Rust are those of
`perper-bench`, so that both sides of a comparison do the same.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(os.environ.get("PERPER_BENCH_PROGRAMS", ROOT / "target" / "release"))
IN_FLIGHT = 256
ITEM = 100
# How many bytes the listener may be behind before the writer waits. More would be in the store before it is read.
BACKLOG = 8 << 20


def quantile(times, part):
    return sorted(times)[int(len(times) * part)] * 1e6


# The roles in Python. Each says "ready", waits for a line, and tells what it counted.


async def worker(agent):
    import perper

    async def echo(value):
        return value

    running = await perper.Agent(agent, {"Echo": echo}, concurrency=4096).start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await running.stop()


async def caller(agent, seconds):
    import perper

    await perper.connect()
    target, value = perper.PerperAgent(agent), "x" * (ITEM - 2)
    await target.call("Echo", value)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    warm = time.perf_counter() + min(seconds / 4, 1)
    until = warm + seconds
    times = []

    async def call():
        before = time.perf_counter()
        while before < until:
            await target.call("Echo", value)
            now = time.perf_counter()
            if warm <= now < until:
                times.append(now - before)
            before = now

    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))
    told = {"rate": len(times) / seconds, "p50": quantile(times, 0.5), "p99": quantile(times, 0.99)}
    print(json.dumps(told), flush=True)


async def generate(agent, plain):
    import perper

    item = b"x" * (ITEM - 2)

    async def items():
        while True:
            yield item

    def plain_items():
        while True:
            yield item

    running = await perper.Agent(agent, {"Items": plain_items if plain else items}).start()
    stream = perper.start_stream("Items")
    await stream
    print(stream.stream, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await stream.destroy()
    await running.stop(0.1)


async def listen(stream, seconds):
    import perper

    await perper.connect()
    items = perper.PerperStream(stream).replay().items()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    warm = time.perf_counter() + min(seconds / 4, 1)
    until = warm + seconds
    counted, since = 0, 0
    async for _ in items:
        since += 1
        if since == 256:
            now = time.perf_counter()
            if now >= until:
                break
            if now >= warm:
                counted += since
            since = 0
    items.close()
    print(json.dumps({"rate": counted / seconds}), flush=True)


async def bare(seconds):
    """What asyncio costs by itself: as many awaits of futures that a callback answers, many at a time."""
    loop = asyncio.get_running_loop()
    waiting = []
    count, until = 0, time.perf_counter() + seconds

    def answer():
        futures, waiting[:] = waiting[:], []
        for future in futures:
            future.set_result(None)

    async def call():
        nonlocal count
        while time.perf_counter() < until:
            future = loop.create_future()
            if not waiting:
                loop.call_soon(answer)
            waiting.append(future)
            await future
            count += 1

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    until = time.perf_counter() + seconds
    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))
    print(json.dumps({"rate": count / seconds}), flush=True)


ROLES = {"worker": worker, "caller": caller, "generate": generate, "listen": listen, "bare": bare}


# The side that measures.


class Process:
    def __init__(self, stack, endpoint, *command):
        self.child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PERPER_FABRIC_ENDPOINT": endpoint},
        )
        stack.callback(self.end)

    def said(self):
        line = self.child.stdout.readline().strip()
        if not line:
            raise SystemExit(f"a role ended early: {self.child.args}")
        return line

    def begin(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.child.kill()


def python(stack, endpoint, role, *arguments):
    return Process(stack, endpoint, sys.executable, __file__, "--role", role, *arguments)


def rust(stack, endpoint, role, **fields):
    return Process(
        stack, endpoint, PROGRAMS / "perper-bench", "role", json.dumps({role: {"endpoint": endpoint, **fields}})
    )


def window(seconds):
    def duration(value):
        return {"secs": int(value), "nanos": int(value % 1 * 1e9)}

    return {"warm_up": duration(min(seconds / 4, 1)), "measure": duration(seconds)}


@contextmanager
def server():
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAMS / "perper-fabric", "--address", "127.0.0.1:0", "--data", folder, "--durability", "process"]
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield "http://" + child.stdout.readline().split()[-1]
        finally:
            child.terminate()
            child.wait()


def rate(told):
    measured = json.loads(told)
    return measured["rate"] if "rate" in measured else measured["count"] / measured["seconds"]


def calls(seconds, worker_language, caller_language):
    with server() as endpoint, ExitStack() as stack:
        agent = "Bench"
        working = (
            python(stack, endpoint, "worker", agent)
            if worker_language == "python"
            else rust(stack, endpoint, "worker", agent=agent)
        )
        working.said()
        calling = (
            python(stack, endpoint, "caller", agent, seconds)
            if caller_language == "python"
            else rust(stack, endpoint, "caller", agent=agent, in_flight=IN_FLIGHT, bytes=ITEM, window=window(seconds))
        )
        calling.said()
        calling.begin()
        return rate(calling.said())


def generated(seconds, kind):
    with server() as endpoint, ExitStack() as stack:
        generating = python(stack, endpoint, "generate", "Bench", *(["plain"] if kind == "plain" else []))
        stream = generating.said()
        listening = rust(stack, endpoint, "listeners", stream=stream, count=1, window=window(seconds))
        listening.said()
        listening.begin()
        return rate(listening.said())


def listened(seconds):
    with server() as endpoint, ExitStack() as stack:
        os.environ["PERPER_FABRIC_ENDPOINT"] = endpoint
        import perper

        perper.blocking.connect(endpoint=endpoint)
        stream = perper.create_blank_stream(backlog=BACKLOG // ITEM)
        perper.blocking.get_stream(stream)
        listening = python(stack, endpoint, "listen", stream.stream, seconds)
        listening.said()
        writing = rust(stack, endpoint, "writer", stream=stream.stream, bytes=ITEM)
        writing.said()
        listening.begin()
        perper.blocking.wait_for_listener(stream)
        writing.begin()
        told = rate(listening.said())
        perper.blocking.destroy_stream(stream)
        return told


def asyncio_alone(seconds):
    with ExitStack() as stack:
        waiting = python(stack, "", "bare", seconds)
        waiting.said()
        waiting.begin()
        return rate(waiting.said())


def import_time(module):
    """Of an `import`, in milliseconds: the best of ten, without what Python takes to start."""
    code = f"import time; before = time.perf_counter(); import {module}; print((time.perf_counter() - before) * 1000)"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(10)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--role", choices=ROLES)
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_args()
    if given.role:
        numbers = [float(one) if one.replace(".", "", 1).isdigit() else one for one in given.arguments]
        if given.role == "generate":
            numbers = [numbers[0], len(numbers) > 1]
        asyncio.run(ROLES[given.role](*numbers))
        return
    seconds = given.seconds
    base = calls(seconds, "rust", "rust")
    both = calls(seconds, "python", "python")
    rows = [
        ("interpreter", f"{platform.python_implementation()} {platform.python_version()}", ""),
        ("calls, 256 in flight, Rust to Rust", f"{base:,.0f}/s", ""),
        ("calls, 256 in flight, Python to Python", f"{both:,.0f}/s", f"{both / base:.2f} of Rust (≥ 0.60)"),
    ]
    for caller_language, worker_language in (("python", "rust"), ("rust", "python")):
        mixed = calls(seconds, worker_language, caller_language)
        rows.append(
            (f"calls, 256 in flight, {caller_language} to {worker_language}", f"{mixed:,.0f}/s", f"{mixed / base:.2f}")
        )
    rows += [
        ("awaits of pure asyncio, 256 at a time", f"{asyncio_alone(seconds):,.0f}/s", ""),
        ("items of 100 B, async generator to Rust", f"{generated(seconds, 'async'):,.0f}/s", "≥ 500,000/s"),
        ("items of 100 B, plain generator to Rust", f"{generated(seconds, 'plain'):,.0f}/s", "≥ 500,000/s"),
        ("items of 100 B, Rust to `async for`", f"{listened(seconds):,.0f}/s", "≥ 1,000,000/s"),
        ("import time", f"{import_time('perper'):.1f} ms", "< 60 ms"),
        ("import time of asyncio alone", f"{import_time('asyncio'):.1f} ms", ""),
    ]
    if given.wheel:
        rows.append(("wheel", f"{given.wheel.stat().st_size / 2**20:.1f} MiB", "< 15 MB"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print(f"| {'figure':<{widths[0]}} | {'measured':<{widths[1]}} | {'target':<{widths[2]}} |")
    print(f"| {'-' * widths[0]} | {'-' * widths[1]} | {'-' * widths[2]} |")
    for row in rows:
        print("| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |")


if __name__ == "__main__":
    main()
