"""What the package is made of."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import perper

SOURCES = Path(perper.__file__).parent


def test_it_is_typed_and_needs_nothing():
    assert (SOURCES / "py.typed").exists()
    assert (SOURCES / "_native.pyi").exists()
    assert metadata.version("perper") == perper.__version__
    assert metadata.requires("perper") is None


def test_importing_starts_no_threads_and_loads_little():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, threading, perper; print(threading.active_count(), 'pytest' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "1 False\n"


def test_everything_that_is_offered_is_there():
    for name in perper.__all__:
        assert getattr(perper, name) is not None
    for module in (perper.blocking, perper.protocol, perper.datatypes):
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{module.__name__}.{name}"


def test_the_fixtures_are_there_by_themselves(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "async def test_it(agent):\n"
        "    import perper\n"
        "    async with agent('A', {'Two': lambda: 2}):\n"
        "        assert await perper.call('Two') == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "1 passed" in done.stdout, done.stdout
