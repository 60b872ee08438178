"""`python -m perper`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import perper


def command(*arguments, endpoint=None, cwd=None, **options):
    environment = dict(os.environ)
    if endpoint:
        environment["PERPER_FABRIC_ENDPOINT"] = endpoint
    return subprocess.run(
        [sys.executable, "-m", "perper", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        cwd=cwd,
        **options,
    )


async def in_thread(*arguments, **options):
    import asyncio

    return await asyncio.to_thread(command, *arguments, **options)


async def test_call_tail_and_ps(agent, fabric):
    async def echo(*values):
        return values

    async with agent("Command", {"Echo": echo, "Fail": lambda: 1 / 0}):
        done = await in_thread("call", "Command", "Echo", "5", '{"a": [1.5, null]}', "text", endpoint=fabric.endpoint)
        assert [json.loads(line) for line in done.stdout.splitlines()] == [5, {"a": [1.5, None]}, "text"], done.stderr
        done = await in_thread("call", "Command", "Fail", endpoint=fabric.endpoint)
        assert (done.returncode, done.stdout) == (1, "")
        assert "division by zero" in done.stderr
        done = await in_thread("call", "Nobody", "Answers", "--timeout", "0.1", endpoint=fabric.endpoint)
        assert done.returncode == 1
        stream = perper.create_blank_stream(ephemeral=False)
        await stream.write({"a": 1}, 5)
        await stream.write(b"\x00", 6)
        done = await in_thread(
            "stream", "tail", stream.stream, "--from", "beginning", "--keys", "--count", "2", endpoint=fabric.endpoint
        )
        assert [json.loads(line) for line in done.stdout.splitlines()] == [[5, {"a": 1}], [6, {"$bytes": "00"}]]
        done = await in_thread("ps", endpoint=fabric.endpoint)
        assert "Command" in done.stdout
        assert stream.stream in done.stdout
        assert "perper-python" in done.stdout


def test_usage():
    assert command().returncode == 2
    assert command("--help").stdout.startswith("usage: python -m perper")
    assert command("nonsense").returncode == 2
    assert "perper fabric" in command("fabric", "--help").stdout
    assert command("fabric", "--nonsense").returncode == 2
    assert command("run").returncode == 2
    assert "no module nowhere" in command("run", "nowhere:app").stderr


def test_a_server_and_an_agent(tmp_path):
    address = tmp_path / "address"
    (tmp_path / "greeter.py").write_text(
        'import perper\n\napp = perper.Agent("Greeter")\n\n\n@app.delegate("Greet")\n'
        'async def greet(name):\n    return f"Hello, {name}!"\n'
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "perper", "fabric", "--address", "127.0.0.1:0", "--address-file", str(address)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline().startswith("listening on ")
        endpoint = f"http://{Path(address).read_text().strip()}"
        environment = {**os.environ, "PERPER_FABRIC_ENDPOINT": endpoint}
        runner = subprocess.Popen([sys.executable, "-m", "perper", "run", "greeter:app"], cwd=tmp_path, env=environment)
        try:
            # It waits for somebody to answer.
            done = command("call", "Greeter", "Greet", "World", endpoint=endpoint)
            assert done.stdout == '"Hello, World!"\n', done.stderr
        finally:
            runner.terminate()
            assert runner.wait(timeout=20) == 0
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops_in_good_order(number):
    server = subprocess.Popen(
        [sys.executable, "-m", "perper", "fabric", "--address", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline().startswith("listening on ")
        server.send_signal(number)
        _, errors = server.communicate(timeout=20)
        assert server.returncode == 0
        assert "stopped" in errors
        assert "Traceback" not in errors, errors
    finally:
        server.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
async def test_ctrl_c_ends_a_command(fabric, soon):
    import asyncio

    stream = perper.create_blank_stream()
    await stream
    tail = subprocess.Popen(
        [sys.executable, "-m", "perper", "stream", "tail", stream.stream],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint},
    )
    try:
        await soon(stream.wait_for_listener())
        tail.send_signal(signal.SIGINT)
        _, errors = await soon(asyncio.to_thread(tail.communicate))
        assert tail.returncode in (-signal.SIGINT, 130)
        assert "Traceback" not in errors, errors
    finally:
        tail.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("thread", ["main", "other"])
def test_ctrl_c_ends_what_handles_no_signals(tmp_path, thread):
    # The system may give a signal to any thread; that does not wake the one that waits.
    (tmp_path / "plain.py").write_text(f"""
import asyncio, signal, sys, threading

def interrupt():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

async def main():
    if {thread == "other"}:
        threading.Thread(target=interrupt).start()
    print("ready", flush=True)
    await asyncio.Event().wait()
""")
    runner = subprocess.Popen(
        [sys.executable, "-m", "perper", "run", "plain:main"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert runner.stdout.readline() == "ready\n"
        if thread == "main":
            runner.send_signal(signal.SIGINT)
        _, errors = runner.communicate(input="\n", timeout=20)
        assert (runner.returncode, errors) == (130, "")
    finally:
        runner.kill()
