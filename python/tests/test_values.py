"""What can be a value, what it becomes, and what is said of the rest."""

import copy
import math
import pickle
import socket
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import pytest

import perper
from perper import _native, datatypes


def through(value):
    return _native.decode(_native.encode(value))


class Colour(Enum):
    RED = "r"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    first: Point
    second: str


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**64,
        -(2**64),
        2**127,
        10**400,
        -(10**400),
        1.5,
        math.inf,
        "",
        "naïve 😀",
        b"\x00\xff",
        [],
        [1, [2, []]],
        {},
        {"a": {"b": [1]}},
        {1: "one", (1, 2): "pair", b"x": None, UUID(int=5): 1},
        datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1, 1, 1, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        UUID(int=2**127),
        Decimal("1.50"),
        Decimal("-12E+30"),
        {1, 2, 3},
        {frozenset({1}), (1, 2)},
        perper.PerperAgent("Shop", "one"),
        perper.PerperStream("s", 5, 1, True),
        perper.PerperExecution("e"),
        perper.Dictionary("d"),
        perper.List("l"),
        perper.Tagged(1000, [1]),
    ],
    ids=repr,
)
def test_it_comes_back(value):
    back = through({"deep": [value]})["deep"][0]
    assert back == value
    assert type(back) is type(value)


def test_what_becomes_something_else():
    assert through((1, (2,))) == [1, [2]]
    assert through(Point(1, 2)) == {"x": 1, "y": 2, "tags": []}
    assert through(Pair(Point(1), "b")) == [{"x": 1, "y": 0, "tags": []}, "b"]
    assert through(namedtuple("T", "a")(1)) == [1]
    assert through([Colour.RED, Level.HIGH]) == ["RED", 3]
    assert through(bytearray(b"x")) == b"x"
    assert through(memoryview(b"x")) == b"x"
    assert through(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}
    assert through(MappingProxyType({"a": 1})) == {"a": 1}
    assert math.isnan(through(math.nan))
    assert through(frozenset({1})) == {1}


def test_subclasses_of_numbers_and_text():
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    assert through([Text("a"), Number(2**70)]) == ["a", 2**70]


def test_nanoseconds_are_kept():
    moment = perper.Timestamp(2024, 1, 1, tzinfo=timezone.utc)
    moment.nanosecond = 7
    back = through(moment)
    assert (back.nanosecond, back) == (7, moment)
    assert copy.copy(back).nanosecond == pickle.loads(pickle.dumps(back)).nanosecond == 7


def test_keys_that_python_takes_for_equal():
    entries = perper.Entries([(1, "one"), (True, "true"), (Decimal(1), "decimal")])
    assert through(entries) == entries
    elements = perper.Elements([1, True])
    assert through(elements) == elements
    nested = {perper.Entries([("a", 1)]): "a map as a key"}
    assert through(nested) == nested


class Holder:
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (socket.socket, ""),
        (object(), ""),
        ([object()], "[0]"),
        ({"a": [0, 1, 2, object()]}, "['a'][3]"),
        ({5: object()}, "[5]"),
        ({(1,): object()}, "[entry 0]"),
        ({Holder(): 1}, "[key 0]"),
        ({"it's": {object()}}, "['it\\'s'][0]"),
        (Point(object()), "['x']"),
        (Pair("a", object()), "[1]"),
        (["\ud800"], "[0]"),
        ([datetime(2024, 1, 1)], "[0]"),
        ([datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1)))], "[0]"),
        ([Decimal("NaN")], "[0]"),
        ([range(3)], "[0]"),
        (perper.Entries([(1, "a"), (1, "b")]), None),
        (perper.Tagged(0, 5), None),
    ],
    ids=repr,
)
def test_what_cannot_be_encoded_is_named_with_its_path(value, path):
    with pytest.raises(TypeError) as raised:
        _native.encode(value)
    if path is not None:
        assert str(raised.value).startswith(f"{path}: " if path else "an object"), raised.value


def test_cycles_are_told():
    cycle = []
    cycle.append({"again": cycle})
    with pytest.raises(TypeError, match=r"^\[0\]\['again'\]: this list contains itself"):
        _native.encode(cycle)


def test_depth_has_a_limit():
    deep = None
    for _ in range(128):
        deep = [deep]
    assert through(deep) == deep
    with pytest.raises(TypeError, match="nested more than 128"):
        _native.encode([deep])


def test_an_error_in_the_users_code_is_handed_on():
    class Broken(Enum):
        A = 1

        @property
        def name(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _native.encode([Broken.A])


def test_items_and_their_keys():
    assert _native.encode_item((5, "a")) == (5, _native.encode("a"))
    assert _native.encode_item(perper.keyed(-5, "a")) == (-5, _native.encode("a"))
    assert _native.encode_item((True, "a")) == (None, _native.encode([True, "a"]))
    assert _native.encode_item((5, 6, 7)) == (None, _native.encode([5, 6, 7]))
    assert _native.encode_item([5, 6]) == (None, _native.encode([5, 6]))
    assert _native.encode_item(Pair(1, 2))[0] is None
    with pytest.raises(TypeError, match="no signed integer of 64 bits"):
        _native.encode_item((2**63, "a"))


def test_hints_of_0_8():
    assert through([(5, datatypes.LongObject), ("5", datatypes.String)]) == [5, "5"]
    assert through((1, datatypes.DoubleObject)) == 1.0
    assert through(([1, 2], datatypes.CollectionObject)) == [1, 2]
    assert through(((1, [1, 2]), datatypes.CollectionObject)) == [1, 2]
    assert _native.encode_item((5, datatypes.IntObject)) == (None, _native.encode(5))


def test_references_keep_what_newer_versions_know_of_them():
    data = _native.encode(perper.PerperStream("s"))
    stream = _native.decode(data)
    stream._options["later"] = [1]
    assert through(stream)._options == {"later": [1]}
    assert through(stream).replay(5)._options == {"later": [1]}


def test_references():
    agent = perper.PerperAgent("Shop", "one")
    assert agent == perper.PerperAgent("Shop", "one")
    assert agent != perper.PerperAgent("Shop")
    assert {agent: 1}[perper.PerperAgent("Shop", "one")] == 1
    stream = perper.PerperStream("s")
    assert stream.startIndex == -1
    assert perper.replay_stream(stream).startIndex == 0
    assert perper.replay_stream(stream, replay_from=7).startIndex == 7
    assert perper.replay_stream(perper.replay_stream(stream), replay=False) == stream
    assert perper.local_stream(stream).localToData is True
    assert perper.PerperStream("s", startIndex=3, stride=2) == perper.PerperStream("s", 3, 2, False)
    assert repr(agent) == "PerperAgent(agent='Shop', instance='one')"


def test_convert():
    assert perper.convert({"X": 1.0, "tags": ["a"]}, Point) == Point(1, 0, ["a"])
    assert perper.convert([{"x": 1}, "b"], Pair) == Pair(Point(1), "b")
    assert perper.convert("RED", Colour) is Colour.RED
    assert perper.convert(3, Level) is Level.HIGH
    assert perper.convert({"a": [1, 2]}, dict[str, tuple[float, ...]]) == {"a": (1.0, 2.0)}
    assert perper.convert(None, Point | None) is None
    assert perper.convert([1, 1], set[int]) == {1}
    with pytest.raises(perper.errors.InvalidValueError, match="an integer is needed"):
        perper.convert(1.5, int)
