"""The layer below: executions and streams by hand."""

import asyncio
import gc

import pytest

import perper
from perper import protocol
from perper.errors import (
    ExecutionCancelledError,
    InvalidArgumentError,
    InvalidSettingsError,
    NotFoundError,
    ReservationLostError,
)


@pytest.fixture
async def connected(fabric):
    current = await perper.connect(endpoint=fabric.endpoint)
    yield current
    await current.close()


async def test_what_is_listened_for_is_answered_by_hand(connected, soon):
    shop = perper.PerperAgent("ByHand")
    async with protocol.listen("ByHand", "Price") as activations:
        call = asyncio.create_task(shop.call("Price", "tea", 3))
        activation = await soon(anext(aiter(activations)))
        assert (activation.delegate, activation.arguments) == ("Price", ("tea", 3))
        assert (activation.agent.agent, activation.stream, activation.revoked) == ("ByHand", None, None)
        assert activation.execution.execution in repr(activation)
        await activation.complete((4, "euros"))
        assert await soon(call) == (4, "euros")
        assert await soon(activation.ended()) is None
        with pytest.raises(ReservationLostError):
            await activation.complete("twice")
        with pytest.raises(InvalidArgumentError):
            activation.writer()


async def test_any_delegate_is_taken_and_an_error_is_told(connected, soon):
    async with protocol.listen("Any") as activations:
        calls = [asyncio.create_task(perper.PerperAgent("Any").call(name)) for name in ("One", "Two")]
        taken = [await soon(anext(activations)) for _ in calls]
        assert sorted(activation.delegate for activation in taken) == ["One", "Two"]
        for activation in taken:
            await activation.fail(ValueError(f"no {activation.delegate} here"))
        for call in calls:
            with pytest.raises(perper.ExecutionError, match=r"no (One|Two) here"):
                await soon(call)


async def test_what_is_given_back_comes_to_another(connected, soon):
    async with protocol.listen("Back", "Do") as first, protocol.listen("Back", "Do") as second:
        call = asyncio.create_task(perper.PerperAgent("Back").call("Do"))
        activation = await soon(anext(first))
        await activation.release()
        again = await soon(anext(second))
        assert again.execution.execution == activation.execution.execution
        await again.complete()
        assert await soon(call) is None


async def test_what_nobody_asks_for_goes_to_those_who_do(connected, soon):
    async with protocol.listen("Fair", "Do"), protocol.listen("Fair", "Do") as asking:
        calls = [asyncio.create_task(perper.PerperAgent("Fair").call("Do", number)) for number in range(5)]
        for _ in calls:
            activation = await soon(anext(asking))
            await activation.complete(activation.arguments[0])
        assert await soon(asyncio.gather(*calls)) == [0, 1, 2, 3, 4]


async def test_whoever_gives_up_asking_loses_nothing(connected, soon):
    async with protocol.listen("Patience", "Do") as activations:
        asking = asyncio.ensure_future(anext(activations))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        call = asyncio.create_task(perper.PerperAgent("Patience").call("Do"))
        await (await soon(anext(activations))).complete("here")
        assert await soon(call) == "here"


async def test_a_cancelled_execution_is_taken_away(connected, soon):
    async with protocol.listen("Taken", "Do") as activations:
        call = asyncio.create_task(perper.PerperAgent("Taken").call("Do"))
        activation = await soon(anext(activations))
        call.cancel()
        assert isinstance(await soon(activation.ended()), ExecutionCancelledError)
        with pytest.raises(ExecutionCancelledError):
            await activation.complete("too late")


async def test_what_cannot_be_encoded_changes_nothing(connected, soon):
    async with protocol.listen("Encoded", "Do") as activations:
        call = asyncio.create_task(perper.PerperAgent("Encoded").call("Do"))
        activation = await soon(anext(activations))
        with pytest.raises(TypeError):
            await activation.complete(object())
        await activation.complete("text")
        assert await soon(call) == "text"


async def test_calls_on_behalf_of_an_activation_belong_to_it(connected, soon):
    async with protocol.listen("Behalf") as activations:
        call = asyncio.create_task(perper.PerperAgent("Behalf").call("Outer"))
        outer = await soon(anext(activations))
        with outer.context.use() as used:
            assert perper.context() is used
            inner_call = asyncio.create_task(perper.call("Inner"))
        assert perper.context() is connected
        inner = await soon(anext(activations))
        assert inner.delegate == "Inner"
        # With what it was called for, a call goes too.
        call.cancel()
        assert isinstance(await soon(inner.ended()), ExecutionCancelledError)
        with pytest.raises(ExecutionCancelledError):
            await soon(inner_call)


async def test_a_generator_is_filled_by_hand(connected, soon):
    async with protocol.listen("Fill") as activations:
        call = asyncio.create_task(perper.PerperAgent("Fill").call("Outer"))
        outer = await soon(anext(activations))
        with outer.context.use():
            stream = perper.start_stream("Numbers", 3)
        items = perper.enumerate_stream(stream.replay())
        first = asyncio.ensure_future(anext(items))
        generator = await soon(anext(activations))
        assert (generator.delegate, generator.arguments) == ("Numbers", (3,))
        assert (generator.stream.stream.stream, generator.stream.items) == (stream.stream, 0)
        async with generator.writer() as writer:
            for number in range(3):
                await writer.put(number)
        await generator.complete()
        assert [await soon(first), *[item async for item in items]] == [0, 1, 2]
        await outer.complete()
        await soon(call)


async def test_a_closed_listen_takes_no_more_and_holds_what_it_has(connected, soon):
    activations = protocol.listen("Closed", "Do")
    first = asyncio.create_task(perper.PerperAgent("Closed").call("Do"))
    held = await soon(anext(activations))
    activations.close()
    with pytest.raises(StopAsyncIteration):
        await soon(anext(activations))
    await held.complete("still")
    assert await soon(first) == "still"
    second = asyncio.create_task(perper.PerperAgent("Closed").call("Do"))
    async with protocol.listen("Closed", "Do") as other:
        await (await soon(anext(other))).complete("elsewhere")
        assert await soon(second) == "elsewhere"


async def test_a_dropped_listen_takes_no_more(connected, soon):
    activations = protocol.listen("Dropped", "Do")
    asking = asyncio.ensure_future(anext(activations))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    del activations, asking
    gc.collect()
    call = asyncio.create_task(perper.PerperAgent("Dropped").call("Do"))
    async with protocol.listen("Dropped", "Do") as other:
        await (await soon(anext(other))).complete("taken")
        assert await soon(call) == "taken"


async def test_settings_that_make_no_sense(connected):
    with pytest.raises(InvalidArgumentError):
        protocol.listen("")
    with pytest.raises(InvalidArgumentError):
        protocol.attach_listener(perper.create_blank_stream(), items=-1)
    with pytest.raises(InvalidArgumentError):
        await protocol.read_items(perper.create_blank_stream(), limit=-1)
    with pytest.raises(InvalidSettingsError):
        perper.Agent("None", concurrency=0)


async def test_a_stream_is_listened_to_batch_by_batch(connected, soon):
    stream = perper.create_blank_stream()
    await perper.write_stream(stream, "before")
    async with protocol.attach_listener(stream.replay(), "billing", items=2) as listener:
        start = await listener.attached()
        assert not start.items_removed
        got = []
        await perper.write_stream(stream, "more")
        await perper.complete_stream(stream)
        async for batch in listener:
            for key, item in batch:
                got.append(item)
                listener.processed(key)
        assert got == ["before", "more"]
        assert listener.skipped == 0
        with pytest.raises(InvalidArgumentError):
            listener.processed(0)


async def test_a_named_listener_goes_on_behind_what_it_said_was_processed(connected, soon):
    stream = perper.create_blank_stream(ephemeral=False)
    for number in range(4):
        await perper.write_stream(stream, number)
    async with protocol.attach_listener(stream.replay(), "once") as listener:
        batch = await soon(listener.next_batch())
        assert batch[0][1] == 0
        listener.processed(batch[0][0])
    async with protocol.attach_listener(stream.replay(), "once") as listener:
        # Also of a batch that came whole: what was not said to be processed comes again.
        assert (await soon(listener.next_batch()))[0][1] == 1


async def test_items_are_read_without_listening(connected):
    stream = perper.create_blank_stream()
    assert await protocol.read_items(stream) == ([], False, 0, None)
    for item in "abc":
        await perper.write_stream(stream, item)
    page = await protocol.read_items(stream, limit=2)
    assert [item for _, item in page.entries] == ["a", "b"]
    assert not page.ended
    await perper.complete_stream(stream)
    page = await protocol.read_items(stream, page.entries[-1][0] + 1)
    assert [item for _, item in page.entries] == ["c"]
    assert (page.ended, page.error) == (True, None)
    await perper.destroy_stream(stream)
    with pytest.raises(NotFoundError):
        await protocol.read_items(stream)
