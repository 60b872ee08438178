"""The golden vectors of `conformance/vectors`, through objects of Python."""

import json
from pathlib import Path

import pytest

from perper import _native
from perper.errors import InvalidValueError

VECTORS = Path(__file__).parents[2] / "conformance" / "vectors"


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def named(name):
    return [pytest.param(vector, id=vector["name"]) for vector in vectors(name)]


@pytest.mark.parametrize("vector", named("accepted"))
def test_accepted(vector):
    data = bytes.fromhex(vector["hex"])
    value = _native.decode(data)
    assert _native.canonicalise(_native.encode(value)).hex() == vector["canonical"]
    if "key" in vector:
        assert _native.encode_key(value).hex() == vector["key"]
        key = _native.decode_key(bytes.fromhex(vector["key"]))
        assert _native.canonicalise(_native.encode(key)).hex() == vector["canonical"]
        hash(key)
    else:
        with pytest.raises(TypeError, match="^key" + (r"\[" if vector["key_path"].startswith("[") else "")):
            _native.encode_key(value)


@pytest.mark.parametrize("vector", named("rejected"))
def test_rejected(vector):
    with pytest.raises(InvalidValueError) as raised:
        _native.decode(bytes.fromhex(vector["hex"]))
    assert raised.value.metadata == {"kind": vector["reason"], "path": vector["path"]}


def test_keys_ascend():
    for vector in vectors("keys"):
        value = _native.decode(bytes.fromhex(vector["hex"]))
        assert _native.encode_key(value).hex() == vector["key"], vector["diagnostic"]


@pytest.mark.parametrize("vector", named("rejected_keys"))
def test_rejected_keys(vector):
    with pytest.raises(InvalidValueError):
        _native.decode_key(bytes.fromhex(vector["hex"]))


def test_equality():
    groups = vectors("equality")

    def canonical(text):
        return _native.canonicalise(_native.encode(_native.decode(bytes.fromhex(text))))

    for group in groups["equal"]:
        assert len({canonical(text) for text in group["hex"]}) == 1, group["name"]
    for group in groups["different"]:
        assert len({canonical(text) for text in group["hex"]}) == len(group["hex"]), group["name"]
