"""Values in JSON, as `conformance/README.md` writes them."""

import math
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import perper
from perper import _native

REFERENCES = {
    "$agent": perper.PerperAgent,
    "$stream": perper.PerperStream,
    "$execution": perper.PerperExecution,
    "$dictionary": perper.Dictionary,
    "$list": perper.List,
}


def to_json(value):
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(2**53) < value < 2**53 else {"$int": str(value)}
        case float():
            return {"$float": repr(value) if math.isfinite(value) else special(value)}
        case bytes():
            return {"$bytes": value.hex()}
        case perper.Entries():
            return {"$map": [[to_json(key), to_json(one)] for key, one in value]}
        case perper.Elements():
            return {"$set": [to_json(one) for one in value]}
        case perper.Tagged():
            return {"$tagged": [value.tag, to_json(value.value)]}
        case list() | tuple():
            return [to_json(one) for one in value]
        case dict():
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: to_json(one) for key, one in value.items()}
            return {"$map": [[to_json(key), to_json(one)] for key, one in value.items()]}
        case set() | frozenset():
            return {"$set": [to_json(one) for one in value]}
        case datetime():
            return {"$datetime": date_time_text(value)}
        case UUID():
            return {"$uuid": str(value)}
        case Decimal():
            return {"$decimal": str(value)}
    kind, identity, options = value._write()
    name = "$" + kind.removeprefix("perper.").lower()
    return {name: identity, **{option: to_json(one) for option, one in options.items()}}


def special(value):
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def date_time_text(value):
    # Tag 0, and a text of at most 23 bytes, or with its length in a byte of its own.
    encoded = _native.encode(value)
    return encoded[2 if encoded[1] < 0x78 else 3 :].decode()


def from_json(json):
    if isinstance(json, list):
        return [from_json(one) for one in json]
    if not isinstance(json, dict):
        return json
    name = next((key for key in json if key.startswith("$")), None)
    if name is None:
        return {key: from_json(one) for key, one in json.items()}
    content = json[name]
    match name:
        case "$int":
            return int(content)
        case "$float":
            return float(content)
        case "$bytes":
            return bytes.fromhex(content)
        case "$map":
            return made([(hashable(from_json(key)), from_json(one)) for key, one in content], dict, perper.Entries)
        case "$set":
            return made([hashable(from_json(one)) for one in content], set, perper.Elements)
        case "$datetime":
            text = content.encode()
            head = bytes([0x60 + len(text)]) if len(text) < 24 else bytes([0x78, len(text)])
            return _native.decode(b"\xc0" + head + text)
        case "$uuid":
            return UUID(content)
        case "$decimal":
            return Decimal(content)
        case "$tagged":
            return perper.Tagged(content[0], from_json(content[1]))
    options = {key: from_json(one) for key, one in json.items() if key != name}
    return REFERENCES[name]._read(content, options)


def hashable(value):
    """Keys of a dict and elements of a set."""
    if isinstance(value, list):
        return tuple(hashable(one) for one in value)
    if isinstance(value, dict):
        return perper.Entries((key, hashable(one)) for key, one in value.items())
    return frozenset(value) if isinstance(value, set) else value


def made(parts, usual, other):
    """The usual container, unless Python takes two of the parts for equal."""
    container = usual(parts)
    return container if len(container) == len(parts) else other(parts)
