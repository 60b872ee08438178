"""The examples, as processes against a Fabric, print what they should; the tutorial's snippets run as they stand."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "python"
TEXTS = [ROOT / "LICENSE", ROOT / "docs" / "concepts.md", ROOT / "docs" / "protocol.md"]
COREUTILS = (
    "cat \"$@\" | tr -cs '[:alpha:]' '\\n' | tr '[:upper:]' '[:lower:]' | sort | uniq -c | sort -k1,1nr -k2 | head -20"
)


def run(fabric, *arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
        env={**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint},
    ).stdout


def test_hello(fabric):
    environment = {**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint}
    greeter = subprocess.Popen([sys.executable, EXAMPLES / "hello.py", "greeter"], env=environment)
    try:
        assert run(fabric, EXAMPLES / "hello.py", "printer", "Perper") == "Hello, Perper!\n"
    finally:
        greeter.terminate()
        assert greeter.wait(timeout=20) == 0


def test_basic(fabric):
    assert run(fabric, EXAMPLES / "basic.py").splitlines() == [
        "2 + 3 = 5",
        "17 / 5 = 3, remainder 2",
        "1 / 0: 1 cannot be divided by zero",
        "found 'stream' and None",
        "ticked [0, 1, 2], the state says 3",
        "25 numbers in batches sum up to 300",
        "ping [0, 2, 4, 6], pong [1, 3, 5]",
    ]


@pytest.mark.parametrize("tokenizer", ["python", "rust"])
def test_wordcount(fabric, tokenizer):
    extra = []
    if tokenizer == "rust":
        program = ROOT / "target" / "debug" / "wordcount"
        if not program.exists():
            pytest.skip("cargo build --package perper-examples has not been run")
        extra = ["--tokenizer", program]
    counted = run(fabric, EXAMPLES / "wordcount.py", *extra, *TEXTS)
    expected = subprocess.run(
        ["sh", "-c", COREUTILS, "sh", *map(str, TEXTS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    assert counted == expected


def snippets():
    """The tutorial's blocks: their language, and the name of the file that a comment in the first line gives them."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def shown(source):
    """What a snippet says that it prints: its comments that begin with an arrow."""
    return re.findall(r"# → (.*)$", source, flags=re.MULTILINE)


ALONE = [
    pytest.param(source, id=f"snippet {place}")
    for place, (language, source) in enumerate(snippets())
    if language == "python" and not re.match(r"# (?!test_)\w+\.py\n", source)
]


@pytest.mark.parametrize("source", ALONE)
def test_the_tutorials_snippets(fabric, tmp_path, source):
    if source.startswith("# test_"):
        (tmp_path / "test_snippet.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", str(tmp_path / "test_snippet.py")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        assert "1 passed" in done.stdout, done.stdout + done.stderr
        return
    path = tmp_path / "snippet.py"
    path.write_text(source, encoding="utf-8")
    assert run(fabric, path).splitlines() == shown(source)


async def test_the_tutorials_two_processes(fabric, tmp_path, process, soon):
    """`greeter.py` and `caller.py` as they stand, in two processes."""
    files = {}
    for _, source in snippets():
        name = re.match(r"# (\w+\.py)\n", source)
        if name:
            files[name[1]] = source
            (tmp_path / name[1]).write_text(source, encoding="utf-8")
    environment = {**os.environ, "PERPER_FABRIC_ENDPOINT": fabric.endpoint}
    greeter = subprocess.Popen([sys.executable, str(tmp_path / "greeter.py")], env=environment)
    try:
        printed = await soon(asyncio.to_thread(run, fabric, tmp_path / "caller.py"), 60)
        assert printed.splitlines() == shown(files["caller.py"])
    finally:
        greeter.send_signal(2)
        assert greeter.wait(timeout=20) == 130


def test_the_notebook(fabric, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PERPER_FABRIC_ENDPOINT", fabric.endpoint)
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert [text.strip() for text in outputs] == ["42", "[0, 1, 4, 9, 16]", "1"]
