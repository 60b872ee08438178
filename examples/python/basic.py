"""One agent that shows one thing after the other: calls, an action stream, a processor, two streams in a circle."""

import asyncio

import perper

app = perper.Agent("Basic")


@app.delegate("Add")
async def add(a: int, b: int) -> int:
    return a + b


@app.delegate("Divide")
def divide(a: int, b: int) -> tuple[int, int]:
    """A plain function, which runs in a thread; a tuple is several results."""
    if b == 0:
        raise ValueError(f"{a} cannot be divided by zero")
    return a // b, a % b


@app.delegate("Find")
async def find(words: list[str], start: str) -> str | None:
    return next((word for word in words if word.startswith(start)), None)


@app.stream("Tick")
async def tick(times: int):
    """An action: it runs whether anybody listens or not. Here for what it leaves in the instance's state."""
    for number in range(times):
        await perper.state().set("ticks", number + 1)
        yield number


@app.stream("Numbers")
def numbers(to: int):
    """Numbers with keys of their own: whoever starts this again after a crash writes nothing twice."""
    for number in range(to):
        yield number, number


@app.stream("Sums")
async def sums(of: perper.PerperStream):
    """Sums of batches of ten items."""
    batch: list[int] = []
    async for number in of.replay():
        batch.append(number)
        if len(batch) == 10:
            yield sum(batch)
            batch = []
    if batch:
        yield sum(batch)


@app.stream("Bounce")
async def bounce(other: perper.PerperStream, begins: bool):
    """Adds one to what the other says, until it is enough. The one that begins says 0."""
    if begins:
        yield 0
    async for number in other.replay():
        if number >= 6:
            return
        yield number + 1


async def show() -> None:
    print("2 + 3 =", await perper.call("Add", 2, 3))

    quotient, remainder = await perper.call("Divide", 17, 5)
    print(f"17 / 5 = {quotient}, remainder {remainder}")
    try:
        await perper.call("Divide", 1, 0)
    except perper.ExecutionError as error:
        print("1 / 0:", error.message)

    words = ["agent", "stream", "state"]
    found, missing = await asyncio.gather(perper.call("Find", words, "str"), perper.call("Find", words, "x"))
    print(f"found {found!r} and {missing!r}")

    # The generator of an action starts by itself; to see that it has ended, one may still listen.
    ticks = perper.start_stream("Tick", 3, action=True, ephemeral=False)
    ticked = [number async for number in ticks.replay()]
    print(f"ticked {ticked}, the state says {await perper.state().get('ticks')}")

    batches = [batch async for batch in perper.start_stream("Sums", perper.start_stream("Numbers", 25))]
    print("25 numbers in batches sum up to", sum(batches))

    # A circle: the first is declared, so that the second can be told of it. Both are persistent, since each has two
    # listeners that start when they start: of an ephemeral stream, what one had processed would be gone for the other.
    ping, start = perper.declare_stream("Bounce", ephemeral=False)
    pong = perper.start_stream("Bounce", ping, False, ephemeral=False)
    start(pong, True)
    pings = [number async for number in ping.replay()]
    pongs = [number async for number in pong.replay()]
    print(f"ping {pings}, pong {pongs}")


async def main() -> None:
    # Within the block the agent's context is current: nothing needs a connection by name.
    async with app.running():
        await show()


if __name__ == "__main__":
    asyncio.run(main())
