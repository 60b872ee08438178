"""A greeting, streamed character by character from one process to another.

    python hello.py greeter          in one terminal
    python hello.py printer World    in another

Either may be started first: both wait for the Fabric, and calls wait for whoever answers them.
"""

import asyncio
import sys

import perper


async def greet(name: str):
    """A generator fills a stream: it runs while somebody listens."""
    for character in f"Hello, {name}!\n":
        yield character


async def print_greeting(name: str) -> None:
    await perper.connect()
    # What comes back is a reference; the characters stay where they are until somebody listens.
    greeting = await perper.call_agent(perper.PerperAgent("Greeter"), "Greet", name)
    async for character in greeting:
        print(character, end="")


def main() -> None:
    match sys.argv[1:]:
        case ["greeter"]:
            asyncio.run(perper.run("Greeter", {"Greet": greet}))
        case ["printer", *names]:
            asyncio.run(print_greeting(names[0] if names else "World"))
        case _:
            sys.exit("usage: hello.py greeter | hello.py printer [NAME]")


if __name__ == "__main__":
    main()
