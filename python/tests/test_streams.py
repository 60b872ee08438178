"""Streams: generators of every kind, writers, listeners, keys, errors, cleaning up."""

import asyncio
import itertools

import pytest

import perper
from perper.errors import (
    ExecutionError,
    FeatureNotSupportedError,
    ListenerTakenOverError,
    NotFoundError,
    StreamKeyNotIncreasingError,
)


async def numbers(count):
    for number in range(count):
        yield number


def plain_numbers(count):
    yield from range(count)


async def squares(stream):
    async for number in stream:
        yield number * number


async def keyed(entries):
    for key, value in entries:
        yield key, value


async def fails(count):
    for number in range(count):
        yield number
    raise LookupError("no numbers left")


async def collected(iterator):
    return [item async for item in iterator]


@pytest.mark.parametrize("generator", [numbers, plain_numbers])
async def test_generators(agent, soon, generator):
    async with agent("Streams", {"Numbers": generator}):
        assert await soon(collected(perper.start_stream("Numbers", 5))) == [0, 1, 2, 3, 4]
        # A plain call gives the reference to a stream that is made for it.
        stream = await perper.call("Numbers", 3)
        assert isinstance(stream, perper.PerperStream)
        assert await soon(collected(perper.enumerate_stream(stream))) == [0, 1, 2]


async def test_a_stream_through_another(agent, soon):
    async with agent("Streams", {"Numbers": numbers, "Squares": squares}):
        stream = perper.start_stream("Squares", perper.start_stream("Numbers", 200))
        assert await soon(collected(stream)) == [number * number for number in range(200)]


async def test_many_items_come_in_order(agent, soon):
    async with agent("Streams", {"Numbers": numbers, "Plain": plain_numbers}):
        for delegate in ("Numbers", "Plain"):
            stream = perper.start_stream(delegate, 20_000)
            assert await soon(collected(stream), 60) == list(range(20_000))


async def test_keys(agent, soon):
    entries = [[5, "a"], [9, {"b": 1}], [100, None]]
    async with agent("Streams", {"Keyed": keyed}):
        stream = perper.start_stream("Keyed", entries, ephemeral=False)
        assert await soon(collected(perper.enumerate_stream_with_keys(stream.replay()))) == [tuple(e) for e in entries]
        again = perper.replay_stream(stream, replay_from=9)
        assert await soon(collected(again.entries())) == [(9, {"b": 1}), (100, None)]
        packed = perper.start_stream("Keyed", [[2, "c"], [0, "a"], [1, "b"]], packed=True, ephemeral=False)
        assert packed.stride == 1
        assert await soon(collected(packed.replay().entries())) == [(0, "a"), (1, "b"), (2, "c")]
        falling = perper.start_stream("Keyed", [[2, "c"], [1, "b"]], action=True, ephemeral=False)
        with pytest.raises(ExecutionError, match="StreamKeyNotIncreasing"):
            await soon(collected(falling.replay()))


async def test_what_a_generator_raises_comes_after_its_items(agent, soon):
    async with agent("Streams", {"Fails": fails}):
        seen = []
        with pytest.raises(ExecutionError) as raised:
            async for item in perper.start_stream("Fails", 3):
                seen.append(item)
        assert seen == [0, 1, 2]
        assert (raised.value.type, raised.value.message) == ("LookupError", "no numbers left")


async def test_an_item_that_cannot_be_encoded_ends_the_stream_with_an_error(agent, soon):
    async def bad():
        yield 1
        yield {"a": [object()]}

    async with agent("Streams", {"Bad": bad}):
        with pytest.raises(ExecutionError, match=r"item\['a'\]\[0\]"):
            await soon(collected(perper.start_stream("Bad")))


async def test_a_function_started_as_a_stream_ends_it(agent, soon):
    ran = []

    async def once(value):
        ran.append(value)
        return value

    async with agent("Streams", {"Once": once, "Plain": ran.append, "Maker": lambda count: plain_numbers(count)}):
        assert await soon(collected(perper.start_stream("Once", 1))) == []
        assert await soon(collected(perper.start_stream("Plain", 2))) == []
        assert await soon(collected(perper.start_stream("Maker", 2))) == [0, 1]
        assert ran == [1, 2]


async def test_action_starts_without_a_listener(agent, soon):
    started = asyncio.Event()

    async def acts():
        started.set()
        yield 1

    async with agent("Streams", {"Acts": acts}):
        stream = perper.start_stream("Acts", action=True)
        assert await stream is stream
        await soon(started.wait())


async def test_the_context_is_set_around_each_step_of_a_generator(agent, soon):
    async def where():
        yield perper.get_agent().instance
        await asyncio.sleep(0)
        yield perper.get_agent().instance

    def plainly():
        yield perper.get_agent().instance
        yield perper.blocking.call("Who")

    async def who():
        return perper.get_agent().instance

    async with agent("Streams", {"Where": where, "Plainly": plainly, "Who": who}):
        instance, _ = await perper.start_agent("Streams")
        for delegate in ("Where", "Plainly"):
            assert await soon(collected(await instance.call(delegate))) == [instance.instance] * 2


async def test_streams_in_a_circle(agent, soon):
    async def bounce(other, first):
        if first:
            yield 0
        async for number in other.replay():
            if number >= 9:
                return
            yield number + 1

    async with agent("Streams", {"Bounce": bounce}):
        ping, start = perper.declare_stream("Bounce", ephemeral=False)
        pong = perper.start_stream("Bounce", ping, True, ephemeral=False, action=True)
        assert start(pong, False) is ping
        assert await soon(collected(ping.replay())) == [1, 3, 5, 7, 9]


async def test_blank_streams(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    first = await perper.write_stream(stream, "a")
    assert await stream.write("b") > first
    async with stream.writer() as writer:
        for number in range(1000):
            await writer.write(number)
    await perper.complete_stream(stream)
    assert await soon(collected(stream.replay())) == ["a", "b", *range(1000)]
    info = await perper.get_stream(stream)
    assert (info["items_written"], info["end"]) == (1002, (0, None))
    packed = perper.create_blank_stream(packed=10, first_key=5, ephemeral=False)
    assert await packed.write("b", 15) == 15
    async with packed.writer() as writer:
        await writer.put((5, "a"))
    await packed.complete(ValueError("spoilt"))
    entries = packed.replay().entries()
    assert [await soon(anext(entries)) for _ in range(2)] == [(5, "a"), (15, "b")]
    with pytest.raises(ExecutionError, match="spoilt"):
        await soon(anext(entries))


async def test_a_refused_item_is_told_at_the_flush(fabric):
    stream = perper.create_blank_stream()
    writer = stream.writer()
    await writer.write("b", 5)
    await writer.flush()
    await writer.write("a", 4)
    with pytest.raises(StreamKeyNotIncreasingError) as raised:
        await writer.flush()
    assert raised.value.metadata["key"] == "4"
    writer.close()


async def test_a_writer_waits_while_too_much_is_on_its_way(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    item = b"x" * (1 << 20)
    async with stream.writer() as writer:
        for _ in range(12):
            await soon(writer.write(item))
    await stream.complete()
    assert sum([1 async for got in stream.replay() if got == item]) == 12


async def test_leaving_a_loop_acknowledges_what_was_asked_past(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    async with stream.writer() as writer:
        for number in range(10):
            await writer.write(number)
    async for number in stream.replay().items(listener="reader"):
        if number == 4:
            break
    # The fifth was given, and nobody asked for the next.
    seen = []
    async for number in stream.items(listener="reader"):
        seen.append(number)
        if number == 9:
            break
    assert seen[0] == 4
    assert seen == list(range(4, 10))
    await perper.remove_listener(stream, "reader")


async def test_a_slow_reader_acknowledges_in_the_middle_of_a_batch(fabric, soon, monkeypatch):
    monkeypatch.setattr(perper.streams, "ACKNOWLEDGE_SECONDS", 0.0)
    stream = perper.create_blank_stream(ephemeral=False)
    reader = stream.replay().items(listener="reader")

    # How items come in batches is the connection's affair: here they come in one.
    async def batch():
        return list(range(200)), list(range(200))

    sent = []
    monkeypatch.setattr(reader, "_answer", batch)
    monkeypatch.setattr(reader, "_send", lambda operation, *fields: sent.append((operation, *fields[1:])))
    for number in range(200):
        before = len(sent)
        assert await soon(anext(reader)) == number
        assert sent[before:] in ([], [(perper.streams.PROCESSED, number - 1)])
        await asyncio.sleep(0.0005)
    assert len(sent) > 2


async def test_waiting_for_an_item_may_be_given_up(fabric, soon):
    stream = perper.create_blank_stream()
    items = stream.items()
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(items), 0.02)
    waiting = asyncio.ensure_future(anext(items))
    async with stream.writer() as writer:
        for number in range(5):
            await writer.write(number)
    # However the cancellation falls, before the batch or after it: nothing is lost.
    waiting.cancel()
    await asyncio.wait([waiting])
    first = [] if waiting.cancelled() else [waiting.result()]
    assert first + [await soon(anext(items)) for _ in range(5 - len(first))] == [0, 1, 2, 3, 4]


async def test_a_listener_that_is_taken_over(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    await stream.write(0)
    reader, other = stream.replay().items(listener="reader"), stream.replay().items(listener="reader")
    assert await soon(anext(reader)) == 0
    assert await soon(anext(other)) == 0
    with pytest.raises(ListenerTakenOverError):
        await soon(anext(reader))


async def test_an_iterator_keeps_the_context_that_it_was_made_in(agent, soon):
    async def make(stream):
        iterators.append(perper.enumerate_stream(stream))

    iterators = []
    stream = None
    async with agent("Streams", {"Make": make}):
        stream = perper.create_blank_stream()
        await perper.call("Make", stream)
        reading = asyncio.create_task(collected(iterators[0]))
        await soon(stream.wait_for_listener())
        await stream.write(1)
        await stream.complete()
        assert await soon(reading) == [1]


async def test_a_stream_that_is_destroyed(agent, soon):
    cancelled = asyncio.Event()

    async def hangs():
        yield 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def hangs_plainly():
        yield from itertools.count()

    async with agent("Streams", {"Hangs": hangs, "Plainly": hangs_plainly}):
        for delegate in ("Hangs", "Plainly"):
            stream = perper.start_stream(delegate)
            items = aiter(stream)
            assert await soon(anext(items)) in (0, 1)
            await perper.destroy_stream(stream)
            with pytest.raises(perper.PerperError):
                await soon(collected(items))
        await soon(cancelled.wait())


async def test_a_stream_that_could_not_be_created(fabric):
    with pytest.raises(TypeError, match=r"parameters\[0\]"):
        perper.Agent("A")
        token = perper.ambient._current.set(perper.Context(perper.context()._session, "Streams", "Streams-deploy"))
        try:
            perper.start_stream("Numbers", object())
        finally:
            perper.ambient._current.reset(token)
    with pytest.raises(NotFoundError):
        await perper.PerperStream("nowhere")


async def test_queries_are_refused(fabric):
    with pytest.raises(FeatureNotSupportedError, match="SQL"):
        perper.query_stream(perper.PerperStream("s"), "Item", "where x > 1")


async def test_the_blocking_ways(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    for number in range(5):
        perper.blocking.write_stream(stream, number)
    perper.blocking.write_stream(stream, 5, 1 << 62)
    perper.blocking.complete_stream(stream)
    assert list(perper.blocking.enumerate_stream(stream.replay())) == [0, 1, 2, 3, 4, 5]
    for number in perper.blocking.enumerate_stream(stream.replay(), "reader"):
        if number == 2:
            break
    assert list(perper.blocking.enumerate_stream(stream, "reader")) == [2, 3, 4, 5]
    assert list(perper.blocking.enumerate_stream_with_keys(stream.replay(1 << 62))) == [(1 << 62, 5)]
    perper.blocking.remove_listener(stream, "reader")
    perper.blocking.destroy_stream(stream)
    with pytest.raises(NotFoundError):
        perper.blocking.get_stream(stream)
