"""The layer below: executions and streams by hand."""

import asyncio
import contextlib
import gc
import threading

import pytest

import perper
from perper.errors import (
    DeadlineExceededError,
    ExecutionCancelledError,
    ExecutionError,
    InvalidArgumentError,
    InvalidSettingsError,
    ListenerTakenOverError,
    NotManualError,
    ReservationLostError,
)
from perper.protocol import attach_listener, listen, read_items

SHOP = perper.PerperAgent("Shop")


@contextlib.contextmanager
def calling(*delegates, agent=SHOP):
    """Calls in flight."""
    calls = [
        asyncio.ensure_future(perper.call_agent(agent, delegate, number)) for number, delegate in enumerate(delegates)
    ]
    try:
        yield calls
    finally:
        for call in calls:
            call.cancel()


async def test_any_delegate_is_answered_by_hand(fabric, soon):
    async with listen("Shop") as activations:
        with calling("Price", "Weight", "Buy") as calls:
            seen = []
            for _ in calls:
                activation = await soon(anext(activations))
                seen.append((activation.delegate, activation.arguments))
                assert activation.agent == perper.PerperAgent("Shop", "Shop-deploy")
                assert (activation.context.attempt, activation.stream, activation.revoked) == (1, None, None)
                if activation.delegate == "Buy":
                    await activation.fail(LookupError("there are none left"))
                else:
                    await activation.complete((activation.delegate, activation.arguments[0]))
                assert await soon(activation.ended()) is None
            assert sorted(seen) == [("Buy", (2,)), ("Price", (0,)), ("Weight", (1,))]
            assert await soon(calls[0]) == ("Price", 0)
            assert await soon(calls[1]) == ("Weight", 1)
            with pytest.raises(ExecutionError) as raised:
                await soon(calls[2])
            assert (raised.value.type, raised.value.message) == ("LookupError", "there are none left")


async def test_one_execution_comes_for_each_that_is_asked_for(fabric, agent, soon):
    async with listen("Shop", "Price") as activations:
        with calling(*["Price"] * 4) as calls:
            held = [await soon(anext(activations)) for _ in range(2)]
            # The two that nobody has asked for here are another worker's.
            async with agent("Shop", {"Price": lambda number: f"elsewhere {number}"}):
                for _, done in zip(held, asyncio.as_completed(calls), strict=False):
                    await soon(done)
                for activation in held:
                    await activation.complete("here")
                answers = [await soon(call) for call in calls]
    assert sorted(answer.split()[0] for answer in answers) == ["elsewhere", "elsewhere", "here", "here"]


async def test_generators_are_counted_like_calls(fabric, soon):
    async with listen("Shop", "Count") as activations, agent_context():
        for _ in range(2):
            await perper.start_stream("Count", action=True)
        first = await soon(anext(activations))
        # Another request, and its answer: nothing has come meanwhile that was not asked for.
        await perper.get_stream(first.stream.stream)
        assert not activations._source._arrived
        await first.complete()
        await (await soon(anext(activations))).complete()


def agent_context():
    """The shop's implicit instance, which serves nothing."""
    return perper.Agent("Shop").running()


async def test_a_generators_stream_is_filled_by_hand(fabric, soon):
    async with listen("Shop", "Count") as activations, agent_context():
        stream = perper.start_stream("Count", 3, action=True, ephemeral=False, packed=True, first_key=5)
        activation = await soon(anext(activations))
        assert activation.arguments == (3,)
        assert activation.stream == (stream, None, 0, 5)
        async with activation.writer() as writer:
            for number in range(*activation.arguments):
                await writer.put(number)
        await activation.complete()
        assert [entry async for entry in stream.replay().entries()] == [(5, 0), (6, 1), (7, 2)]
        with pytest.raises(ReservationLostError):
            activation.writer()

        call = asyncio.ensure_future(perper.call("Count"))
        activation = await soon(anext(activations))
        with pytest.raises(InvalidArgumentError, match="'Count' was called, not started as a stream"):
            activation.writer()
        await activation.complete("nothing to fill")
        assert await soon(call) == "nothing to fill"


async def test_what_is_released_comes_again(fabric, soon):
    async with listen("Shop", "Price") as activations:
        with calling("Price") as (call,):
            await (await soon(anext(activations))).release()
            activation = await soon(anext(activations))
            # Unharmed: that was no attempt.
            assert activation.context.attempt == 1
            await activation.complete(5)
            assert await soon(call) == 5


async def test_a_conclusion_counts_once(fabric, soon):
    async with listen("Shop", "Price") as activations:
        with calling("Price") as (call,):
            activation = await soon(anext(activations))
            with pytest.raises(TypeError, match=r"^result: an object of type object"):
                await activation.complete(object())
            # Nothing was sent.
            await activation.complete(7)
            assert await soon(call) == 7
            for again in (activation.complete(8), activation.fail(ValueError()), activation.release()):
                with pytest.raises(ReservationLostError, match="has been concluded here already"):
                    await again


async def test_a_conclusion_is_not_given_up_half_way(fabric, soon):
    async with listen("Shop", "Price") as activations:
        with calling("Price") as (call,):
            activation = await soon(anext(activations))
            completing = asyncio.ensure_future(activation.complete(7))
            await asyncio.sleep(0)
            completing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await completing
            assert await soon(call) == 7


async def test_it_is_told_why_an_execution_was_taken_away(fabric, soon):
    async with listen("Shop", "Price") as activations:
        call = asyncio.ensure_future(perper.call_agent(SHOP, "Price"))
        activation = await soon(anext(activations))
        call.cancel()
        assert isinstance(await soon(activation.ended()), ExecutionCancelledError)
        with pytest.raises(ExecutionCancelledError):
            await activation.complete(1)

        # On a busy machine the first deadlines may pass before anything comes.
        seconds, asking = 0.05, asyncio.ensure_future(anext(activations))
        while not asking.done():
            with pytest.raises(DeadlineExceededError):
                await soon(perper.call_agent(SHOP, "Price", timeout=seconds))
            seconds *= 2
        activation = await asking
        assert isinstance(await soon(activation.ended()), DeadlineExceededError)
        assert isinstance(activation.revoked, DeadlineExceededError)
        assert activation.context.remaining is None


async def test_calls_belong_to_the_activation_within_its_context(fabric, soon):
    async with listen("Shop", "Outer", "Inner") as activations:
        with calling("Outer") as (call,):
            outer = await soon(anext(activations))
            with outer.context.use() as used:
                assert perper.context() is used is outer.context
                nested = asyncio.ensure_future(perper.call("Inner"))
            assert perper.context() is not used
            inner = await soon(anext(activations))
            call.cancel()
            # It is a child of what was cancelled.
            assert isinstance(await soon(inner.ended()), ExecutionCancelledError)
            with pytest.raises(ExecutionCancelledError):
                await soon(nested)


async def test_a_thread_concludes_as_well(fabric, soon):
    async with listen("Shop", "Price") as activations:
        with calling("Price") as (call,):
            activation = await soon(anext(activations))

            def answer():
                perper.blocking.wait(activation.complete(threading.current_thread().name))

            await asyncio.to_thread(answer)
            assert await soon(call)
            assert await soon(activation.ended()) is None


async def test_asking_may_be_given_up(fabric, soon):
    async with listen("Shop", "Price") as activations:
        for _ in range(3):
            asking = asyncio.ensure_future(anext(activations))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        # One was asked for, however often that was given up.
        assert activations._source._granted == 1
        with calling("Price") as (call,):
            activation = await soon(anext(activations))
            await activation.complete(1)
            assert await soon(call) == 1


async def test_leaving_gives_back_what_nobody_has_taken(fabric, soon):
    with calling("Price", "Price") as calls:
        async with listen("Shop", "Price") as activations:
            held = await soon(anext(activations))
            asking = asyncio.ensure_future(anext(activations))
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await soon(asking)
        with pytest.raises(StopAsyncIteration):
            await anext(activations)
        # What is held still is.
        async with listen("Shop", "Price") as others:
            other = await soon(anext(others))
            await other.complete("there")
            await held.complete("here")
            assert sorted([await soon(calls[0]), await soon(calls[1])]) == ["here", "there"]


async def test_a_loop_that_is_left_takes_no_more(fabric, soon):
    with calling("Price", "Price") as calls:
        async for activation in listen("Shop", "Price"):
            await activation.complete("first")
            break
        gc.collect()
        async for activation in listen("Shop", "Price"):
            await activation.complete("second")
            break
        assert sorted([await soon(call) for call in calls]) == ["first", "second"]


async def test_a_listen_that_is_dropped_takes_no_more(fabric, soon):
    activations = listen("Shop", "Price")
    asking = asyncio.ensure_future(anext(activations))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    del activations, asking
    gc.collect()
    with calling("Price") as (call,):
        async with listen("Shop", "Price") as others:
            await (await soon(anext(others))).complete("taken")
            assert await soon(call) == "taken"


async def test_nothing_of_a_listen_stays(fabric, soon):
    gc.collect()
    session = perper.context()._session
    for _ in range(2):
        async with listen("Shop", "Price") as activations:
            source = activations._source
            with calling("Price") as (call,):
                await (await soon(anext(activations))).complete(1)
                await soon(call)
    closed = asyncio.Event()
    source.bridge.close, close = closed.set, source.bridge.close
    await soon(closed.wait())
    close()
    assert not source._held
    assert source.session is not session


async def test_one_instance_is_listened_for(fabric, soon):
    mine = perper.PerperAgent("Shop", "mine")
    async with listen("Shop", instance="mine") as activations:
        with calling("Price"), calling("Price", agent=mine) as (call,):
            activation = await soon(anext(activations))
            assert activation.agent == mine
            await activation.complete("mine")
            assert await soon(call) == "mine"


async def test_start_and_stop_are_seen_where_everything_is(fabric, soon):
    async with listen("Shop") as activations:
        starting = asyncio.ensure_future(perper.start_agent("Shop", "Ada"))
        activation = await soon(anext(activations))
        assert (activation.delegate, activation.arguments) == ("Start", ("Ada",))
        await activation.complete("welcome")
        shop, greeting = await soon(starting)
        assert greeting == "welcome"
        stopping = asyncio.ensure_future(shop.stop())
        activation = await soon(anext(activations))
        assert (activation.delegate, activation.agent) == ("Stop", shop)
        await activation.complete()
        assert await soon(stopping) is True
    async with listen("Shop", "Price") as activations:
        asking = asyncio.ensure_future(anext(activations))
        shop, greeting = await soon(perper.start_agent("Shop"))
        assert greeting is None
        assert await soon(shop.stop()) is True
        # Neither was what was asked for.
        assert not asking.done()
    with pytest.raises(StopAsyncIteration):
        await soon(asking)


async def test_what_cannot_be_listened_for(fabric):
    with pytest.raises(InvalidArgumentError, match="has no name"):
        listen("")
    with pytest.raises(InvalidSettingsError, match="at least 1, not 0"):
        perper.Agent("Shop", concurrency=0)
    with pytest.raises(RuntimeError, match="no running event loop"):
        perper.blocking.wait(asyncio_free())


async def asyncio_free():
    # In a thread without a loop.
    raised = []

    def ask():
        try:
            perper.blocking.wait(listen("Shop").__anext__())
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    raise raised[0]


async def test_a_listen_ends_with_the_connection(fabric, soon):
    connected = await perper.connect()
    activations = listen("Shop")
    asking = asyncio.ensure_future(anext(activations))
    await asyncio.sleep(0)
    await connected.close()
    with pytest.raises((perper.ClosedError, StopAsyncIteration)):
        await soon(asking)


async def test_executions_by_hand(fabric, soon):
    execution = await perper.protocol.create_execution(SHOP, "Price", manual=True)
    await perper.protocol.complete_execution(execution, (1, "EUR"))
    assert await soon(perper.protocol.wait_execution(execution)) == (1, "EUR")
    execution = await perper.protocol.create_execution(SHOP, "Price", execution="my own", manual=True)
    assert execution == perper.PerperExecution("my own")
    await perper.protocol.complete_execution(execution, error=ValueError("no"))
    with pytest.raises(ExecutionError, match="ValueError: no"):
        await soon(perper.protocol.wait_execution(execution))
    await perper.protocol.forget_execution(execution)
    execution = await perper.protocol.create_execution(SHOP, "Price")
    with pytest.raises(NotManualError):
        await perper.protocol.complete_execution(execution)
    await perper.protocol.cancel_execution(execution)
    with pytest.raises(ExecutionCancelledError):
        await soon(perper.protocol.wait_execution(execution))


async def written(count, **options):
    stream = perper.create_blank_stream(ephemeral=False, packed=True, **options)
    async with stream.writer() as writer:
        for number in range(count):
            await writer.put({"n": number})
    return stream


async def test_items_in_batches(fabric, soon):
    stream = await written(100)
    await stream.complete()
    async with attach_listener(stream.replay(40)) as listener:
        assert await listener.attached() == (40, False)
        batches = [batch async for batch in listener]
        assert listener.skipped == 0
        assert await listener.next_batch() is None
    assert [entry for batch in batches for entry in batch] == [(n, {"n": n}) for n in range(40, 100)]


async def test_gaps_of_a_packed_stream_are_counted(fabric, soon):
    stream = perper.create_blank_stream(ephemeral=False, packed=True)
    for key in (0, 3):
        await stream.write("item", key)
    await stream.complete()
    async with attach_listener(stream.replay()) as listener:
        assert [key async for batch in listener for key, _ in batch] == [0, 3]
        assert listener.skipped == 2


async def test_a_listener_goes_on_behind_what_was_acknowledged(fabric, soon):
    stream = await written(10)
    async with attach_listener(stream.replay(), "mine") as listener:
        batch = await soon(listener.next_batch())
        assert batch[0] == (0, {"n": 0})
        listener.processed(4)
    async with attach_listener(stream.replay(), "mine") as listener:
        assert await soon(listener.attached()) == (5, False)
        # Asking for more says that all of this is processed.
        assert (await soon(listener.next_batch()))[0] == (5, {"n": 5})
        listener.detach()
        with pytest.raises(InvalidArgumentError, match=r"key 7.*detached"):
            listener.processed(7)
    async with attach_listener(stream.replay(), "mine") as listener:
        # It was left without a word about what it had been given.
        assert await soon(listener.attached()) == (5, False)


async def test_a_window_bounds_what_waits(fabric, soon):
    stream = await written(50)
    await stream.complete()
    async with attach_listener(stream.replay(), items=1) as listener:
        keys = [key async for batch in listener for key, _ in batch]
    assert keys == list(range(50))
    for window in ({"items": -1}, {"held_bytes": -1}):
        with pytest.raises(InvalidArgumentError, match="a window is not negative"):
            attach_listener(stream, **window)


async def test_a_listener_of_the_same_name_takes_over(fabric, soon):
    stream = await written(1)
    async with attach_listener(stream.replay(), "mine") as former:
        await soon(former.next_batch())
        async with attach_listener(stream.replay(), "mine") as later:
            with pytest.raises(ListenerTakenOverError):
                await soon(former.next_batch())
            assert await former.next_batch() is None
            assert await soon(later.next_batch()) == [(0, {"n": 0})]


async def test_the_error_of_a_stream_comes_after_its_items(fabric, soon):
    stream = await written(1)
    await stream.complete(ValueError("broken"))
    async with attach_listener(stream.replay()) as listener:
        assert await soon(listener.next_batch()) == [(0, {"n": 0})]
        with pytest.raises(ExecutionError, match="ValueError: broken"):
            await soon(listener.next_batch())


async def test_a_batch_on_its_way_is_not_lost(fabric, soon):
    stream = perper.create_blank_stream()
    async with attach_listener(stream) as listener:
        asking = asyncio.ensure_future(listener.next_batch())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        key = await stream.write("item")
        assert await soon(listener.next_batch()) == [(key, "item")]


async def test_batches_in_a_thread(fabric):
    stream = await written(5)
    await stream.complete()

    def read():
        return [entry for batch in perper.blocking.iterate(attach_listener(stream.replay())) for entry in batch]

    assert await asyncio.to_thread(read) == [(n, {"n": n}) for n in range(5)]


async def test_items_are_read_without_listening(fabric):
    stream = await written(10)
    # A page is not filled with a part of a batch, and how the items came in batches was the writer's affair.
    page = await read_items(stream, limit=3)
    first = len(page.entries)
    assert 1 <= first <= 3
    assert page == ([(n, {"n": n}) for n in range(first)], False, 0, None)
    entries = page.entries
    while page := (await read_items(stream, len(entries), limit=3)).entries:
        assert len(page) <= 3
        entries += page
    assert entries == [(n, {"n": n}) for n in range(10)]
    page = await read_items(stream, 8)
    assert (page.entries, page.ended) == ([(8, {"n": 8}), (9, {"n": 9})], False)
    assert (await read_items(stream, 10)).entries == []
    await stream.complete(ValueError("broken"))
    page = await read_items(stream, 9)
    assert (page.entries, page.ended, page.error.type) == ([(9, {"n": 9})], True, "ValueError")
    assert (await stream.info())["listeners"] == 0
    with pytest.raises(perper.NotFoundError):
        await read_items(perper.PerperStream("nothing"))
    with pytest.raises(InvalidArgumentError, match="a limit is not negative: -1"):
        await read_items(stream, limit=-1)
