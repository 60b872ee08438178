"""What the tests share."""

import asyncio
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

import perper

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path, fabric):
    """Runs a program of its own, which goes to the test's Fabric by itself."""

    def run(source, *arguments, timeout=60, check=True, **environment):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint, **environment},
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def process(tmp_path, fabric):
    """Starts a program and gives it back once it has printed a line that says it is ready."""
    started = []

    @contextmanager
    def start(source, *arguments, ready="ready", **environment):
        path = tmp_path / f"process{len(started)}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, "-u", str(path), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint, **environment},
        )
        started.append(child)
        try:
            line = child.stdout.readline().strip()
            if line != ready:
                child.kill()
                pytest.fail(f"the process said {line!r}: {child.communicate()[1]}")
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()

    return start


@pytest.fixture
def soon():
    """Waits for something that must come: a test fails rather than hangs."""

    def wait(awaitable, seconds=20):
        return asyncio.wait_for(awaitable, seconds)

    return wait


@pytest.fixture(autouse=True)
def _nothing_stays(request):
    yield
    assert perper.ambient._running == [], f"{request.node.name} left an agent behind"
