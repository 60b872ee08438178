"""Counts the words of text files, with agents in five processes.

    python wordcount.py FILE…

A reader streams the lines. Three instances of a tokenizer, each in a process of its own, share them and stream the counts
of each line. A counter adds them up in its state, and streams back how far it is; then the top of the table. A word is a
run of ASCII letters, in lower case.

    python wordcount.py --tokenizer ../../target/release/wordcount FILE…

takes the tokenizers of the same example in Rust: agents do not see in which language others are written.
"""

import argparse
import asyncio
import os
import re
import sys
import uuid
from collections import Counter as Counts
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import perper

TOP = 20
TOKENIZERS = 3
BATCH = 900
"""Words that one change of the state writes at the most; with the places reached it must stay below the limit of 1,000."""
WORD = re.compile(r"[a-z]+")

reader = perper.Agent("Reader")
tokenizer = perper.Agent("Tokenizer")
counter = perper.Agent("Counter")


@reader.delegate("Count")
def count_lines(files: list[str]) -> int:
    return sum(1 for _ in lines(files))


# Persistent, so that each tokenizer can begin at the beginning whenever it comes; packed, so that keys are line numbers.
@reader.stream("Lines", ephemeral=False, packed=True, resume="skip")
def lines(files: list[str]) -> Iterator[str]:
    for name in files:
        # Words are ASCII, so whatever else a file holds only separates them.
        with Path(name).open(encoding="ascii", errors="replace") as file:
            yield from file


@tokenizer.stream("Tables")
async def tables(of: perper.PerperStream, part: int, parts: int) -> AsyncIterator[tuple[int, dict[str, int]]]:
    """The tables of every `parts`-th line, under its number: whoever does this again after a crash writes nothing twice."""
    async for number, line in of.replay().entries():
        if number % parts == part:
            yield number, Counts(WORD.findall(line.lower()))


@counter.stream("Count")
async def count(of: list[perper.PerperStream]) -> AsyncIterator[int]:
    """Adds up, and says after each change of the state how many tables are in it."""
    totals = await Totals.load(len(of))
    queue: asyncio.Queue[tuple[int, int, dict[str, int]] | None] = asyncio.Queue(64)

    async def follow(place: int, stream: perper.PerperStream) -> None:
        async for number, table in stream.replay(totals.next[place]).entries():
            await queue.put((place, number, table))
        await queue.put(None)

    followers = [asyncio.create_task(follow(place, stream)) for place, stream in enumerate(of)]
    running = len(followers)
    while running:
        entry = await queue.get()
        if entry is None:
            running -= 1
            continue
        if len(totals.changed) + len(entry[2]) > BATCH:
            await totals.save()
            yield totals.added
        totals.add(*entry)
    await asyncio.gather(*followers)
    await totals.save()
    yield totals.added


@counter.stream("Top")
async def top(size: int) -> AsyncIterator[list[str | int]]:
    """The words that stand most often, the most frequent first, equal ones in order of the alphabet."""
    words = [(key, value) async for key, value in perper.state() if isinstance(key, str)]
    for word, often in sorted(words, key=lambda entry: (-entry[1], entry[0]))[:size]:
        yield [word, often]


class Totals:
    """The totals, with the place in each input up to which they are added. Both are saved in one batch: so each line
    counts once, however often the counter is started again.
    """

    def __init__(self) -> None:
        self.words: Counts[str] = Counts()
        self.changed: set[str] = set()
        self.next: list[int] = []
        self.added = 0

    @classmethod
    async def load(cls, inputs: int) -> "Totals":
        totals = cls()
        state = perper.state()
        async for key, value in state:
            if isinstance(key, str):
                totals.words[key] = value
        totals.next = [await state.get(place, 0) for place in range(inputs)]
        totals.added = await state.get(True, 0)
        return totals

    def add(self, place: int, number: int, table: dict[str, int]) -> None:
        self.words.update(table)
        self.changed.update(table)
        self.next[place] = number + 1
        self.added += 1

    async def save(self) -> None:
        batch = perper.state().batch().set(True, self.added)
        for place, number in enumerate(self.next):
            batch.set(place, number)
        for word in self.changed:
            batch.set(word, self.words[word])
        self.changed.clear()
        await batch.apply()


@asynccontextmanager
async def process(program: list[str], agent: str, instance: str = "") -> AsyncIterator[None]:
    """An agent process, as long as the block runs. A scaler would start those by itself."""
    environment = dict(os.environ)
    if instance:
        environment["X_PERPER_INSTANCE"] = instance
    child = await asyncio.create_subprocess_exec(*program, "--agent", agent, env=environment)
    try:
        yield
    finally:
        child.terminate()
        await child.wait()


async def main(files: list[str], tokenizers: list[str]) -> None:
    this = [sys.executable, __file__]
    await perper.connect()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(this, "Reader"))
        await stack.enter_async_context(process(this, "Counter"))
        source = perper.PerperAgent("Reader")
        total = await source.call("Count", files)
        text = await source.call("Lines", files)

        # Each instance has a process that serves it and no other.
        parts = []
        started = []
        for part in range(TOKENIZERS):
            instance = str(uuid.uuid4())
            await stack.enter_async_context(process(tokenizers, "Tokenizer", instance))
            agent, _ = await perper.start_agent("Tokenizer", instance=instance)
            parts.append(await agent.call("Tables", text, part, TOKENIZERS))
            started.append(agent)

        sums, _ = await perper.start_agent("Counter")
        async for done in await sums.call("Count", parts):
            if sys.stderr.isatty():
                print(f"\r{done}/{total} lines", end="", file=sys.stderr)
        async for word, often in await sums.call("Top", TOP):
            print(f"{often:>7} {word}")
        # With the instances goes what they own: the streams, the totals.
        for agent in [*started, sums]:
            await agent.stop()
        await text.destroy()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Counts the words of text files.")
    arguments.add_argument("--agent", choices=["Reader", "Tokenizer", "Counter"], help="serve one agent")
    arguments.add_argument("--tokenizer", help="another program that serves tokenizers")
    arguments.add_argument("files", nargs="*")
    given = arguments.parse_args()
    if given.agent:
        asyncio.run({"Reader": reader, "Tokenizer": tokenizer, "Counter": counter}[given.agent].run())
    elif given.files:
        asyncio.run(main(given.files, [given.tokenizer] if given.tokenizer else [sys.executable, __file__]))
    else:
        arguments.error("name some files")
