"""State, dictionaries, lists."""

import pytest

import perper
from perper.errors import IndexOutOfRangeError, InvalidArgumentError


async def test_dictionaries(fabric):
    things = perper.create_dictionary()
    assert await things.get("a") is None
    assert await things.get("a", "default") == "default"
    await things.set("a", 1)
    await things.set(("a", 1), {"b": [2]})
    await things.set(None.__class__.__name__, None)
    assert await things.get("a") == 1
    assert await things.get(["a", 1.0]) == {"b": [2]}
    assert await things.get("NoneType", "default") is None
    assert await things.set_if_absent("a", 2) is False
    assert await things.set_if_absent("c", 3) is True
    assert await things.replace_if_equal("c", 4, 5) is False
    assert await things.replace_if_equal("c", 3.0, 5) is True
    assert await things.get_and_replace("c", 6) == 5
    assert await things.get_and_replace("d", 6, "absent") == "absent"
    assert await things.get_and_remove("c") == 6
    assert await things.remove("c") is False
    assert await things.remove_if_equal("a", 2) is False
    assert await things.remove_if_equal("a", 1) is True
    assert await things.contains("a") is False
    assert await things.count() == 2
    assert {key: value async for key, value in things} == {("a", 1): {"b": [2]}, "NoneType": None}
    assert await things.batch().set("x", 1).replace_if_equal("y", 1, 2).apply() is False
    assert await things.contains("x") is False
    assert await things.batch().set("x", 1).set_if_absent("y", 1).remove("NoneType").apply() is True
    assert await things.count() == 3
    with pytest.raises(perper.errors.InvalidKeyError):
        await things.set({"a": 1}, 1)
    with pytest.raises(TypeError, match=r"^value\[0\]"):
        await things.set("a", [object()])
    await things.clear()
    assert await things.count() == 0
    await things.destroy()


async def test_many_entries_come_in_pages(fabric):
    things = perper.create_dictionary()
    for start in range(0, 3000, 500):
        batch = things.batch()
        for number in range(start, start + 500):
            batch.set(number, str(number))
        assert await batch.apply()
    assert {key: value async for key, value in things.items()} == {n: str(n) for n in range(3000)}


async def test_lists(fabric):
    things = perper.create_list()
    assert [await things.add(value) for value in "abc"] == [0, 1, 2]
    assert await things.pop() == "c"
    assert await things.dequeue() == "a"
    await things.insert_at(0, "x")
    assert [value async for value in things] == ["x", "b"]
    assert await things.get_at(1) == "b"
    await things.set_at(1, None)
    assert await things.get_at(1) is None
    assert await things.index_of("x") == 0
    assert await things.index_of("y") is None
    assert await things.contains("x") is True
    assert await things.remove("x") is True
    assert await things.remove("x") is False
    assert await things.remove_at(0) is None
    assert await things.count() == 0
    assert await things.pop("empty") == await things.dequeue("empty") == "empty"
    with pytest.raises(IndexOutOfRangeError):
        await things.get_at(5)
    with pytest.raises(IndexError, match="negative"):
        await things.get_at(-1)
    await things.add(1)
    await things.clear()
    await things.destroy()


async def test_the_state_of_an_instance(agent):
    async def count(key):
        value = await perper.state().get(key, 0) + 1
        await perper.state().set(key, value)
        return value

    def plainly(key):
        perper.set_state(key, perper.get_state(key, 0) + 1)
        value = perper.get_state(key)
        if value > 2:
            perper.remove_state(key)
        return value

    async def named():
        things = perper.create_dictionary("things")
        await things.set("n", await things.get("n", 0) + 1)
        return await things.get("n"), perper.create_list("things").list

    async with agent("State", {"Count": count, "Plainly": plainly, "Named": named}):
        mine, _ = await perper.start_agent("State")
        yours, _ = await perper.start_agent("State")
        assert [await mine.call("Count", "a") for _ in range(3)] == [1, 2, 3]
        assert await yours.call("Count", "a") == 1
        assert [await mine.call("Plainly", "b") for _ in range(4)] == [1, 2, 3, 1]
        assert [(await mine.call("Named"))[0] for _ in range(2)] == [1, 2]
        assert (await yours.call("Named"))[1] == f"{yours.instance}/things"


async def test_a_client_has_no_state(fabric):
    with pytest.raises(InvalidArgumentError, match="belongs to no instance"):
        perper.state()


async def test_hints_and_defaults(agent):
    def told():
        perper.set_state("a", 5, perper.datatypes.DoubleObject)
        return perper.get_state("a"), perper.get_state("b", 1), perper.get_state("c", default_factory=dict)

    async with agent("State", {"Told": told}):
        assert await perper.call("Told") == (5.0, 1, {})


async def test_the_blocking_ways(fabric):
    things = perper.create_dictionary()
    perper.blocking.wait(things.set("a", 1))
    assert perper.blocking.wait(things.get("a")) == 1
    assert list(perper.blocking.iterate(things.items())) == [("a", 1)]
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        import asyncio

        perper.blocking.wait(asyncio.sleep(0.001))


async def test_a_durable_fabric_keeps_it(tmp_path):
    for run in range(2):
        async with perper.embedded(str(tmp_path / "data")):
            if run == 0:
                kept = perper.create_dictionary(detached=True)
                await kept.set("a", 1)
            assert await kept.get("a") == 1
