"""From the values that came to what a function's annotations ask for.

Values have few types; a dataclass comes as a `dict`, a named tuple as a `list`. Where a parameter is annotated with such a
class, it is made of what came. An annotation that says nothing of the kind costs nothing.
"""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import InvalidValueError

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    Converter = Callable[[Any], Any]

__all__ = ["convert"]

T = TypeVar("T")


def convert(value: Any, to: type[T]) -> T:
    """Make a value of that type: a dataclass of a `dict`, an `Enum` of its name, and so on inside of containers."""
    converter = _converter(to)
    return value if converter is None else converter(value)  # type: ignore[no-any-return]


def converters_of(function: Callable[..., Any], signature: inspect.Signature) -> Any:
    """For each positional parameter its converter, and one for the rest; `None` if there is nothing to do."""
    try:
        hints = typing.get_type_hints(_bare(function))
    except Exception:
        # Annotations that name what is not there: they are for readers, then.
        return None
    converters: list[tuple[str, Converter | None]] = []
    rest: tuple[str, Converter | None] | None = None
    for parameter in signature.parameters.values():
        converter = _converter(hints.get(parameter.name, Any))
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = (parameter.name, converter)
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            converters.append((parameter.name, converter))
    if all(converter is None for _, converter in [*converters, *([rest] if rest else [])]):
        return None
    return converters, rest


def converted(converters: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments as the parameters want them. An error names the parameter."""
    named, rest = converters
    made = []
    for position, argument in enumerate(arguments):
        name, converter = named[position] if position < len(named) else rest or ("", None)
        if converter is None:
            made.append(argument)
            continue
        try:
            made.append(converter(argument))
        except (TypeError, ValueError, KeyError, InvalidValueError) as error:
            raise TypeError(f"parameter {name!r}: {error}") from error
    return tuple(made)


def _bare(function: Any) -> Any:
    while hasattr(function, "func") and not hasattr(function, "__code__"):
        function = function.func
    return function if hasattr(function, "__code__") else getattr(function, "__call__", function)  # noqa: B004


def _converter(to: Any) -> Converter | None:
    """What makes a value of a type; `None` if any value will do."""
    origin = typing.get_origin(to)
    if origin is typing.Annotated:
        return _converter(typing.get_args(to)[0])
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(to))
    if origin is not None:
        return _generic(origin, typing.get_args(to))
    return _class(to) if isinstance(to, type) else None


def _union(choices: tuple[Any, ...]) -> Converter | None:
    others = [_converter(choice) for choice in choices if choice is not type(None)]
    if len(others) != 1 or others[0] is None:
        # Which of several is meant, nobody can tell.
        return None
    only: Converter = others[0]
    return lambda value: None if value is None else only(value)


def _generic(origin: Any, arguments: tuple[Any, ...]) -> Converter | None:
    if not isinstance(origin, type):
        return None
    if issubclass(origin, tuple):
        if not arguments:
            return tuple
        if len(arguments) == 2 and arguments[1] is ...:
            each = _converter(arguments[0])
            return lambda value: tuple(value if each is None else map(each, value))
        several = [_converter(argument) for argument in arguments]

        def to_tuple(value: Any) -> Any:
            if len(value) != len(several):
                raise InvalidValueError(f"{len(several)} elements are needed, not {len(value)}")
            return tuple(one if each is None else each(one) for one, each in zip(value, several, strict=True))

        return to_tuple
    if issubclass(origin, list) and arguments:
        each = _converter(arguments[0])
        if each is None:
            return None
        element: Converter = each
        return lambda value: [element(one) for one in value]
    if issubclass(origin, (set, frozenset)):
        each = _converter(arguments[0]) if arguments else None
        return lambda value: origin(value if each is None else map(each, value))
    if issubclass(origin, dict) and len(arguments) == 2:
        to_key, to_value = _converter(arguments[0]), _converter(arguments[1])
        if to_key is None and to_value is None:
            return None

        def to_dict(value: Any) -> Any:
            return {
                key if to_key is None else to_key(key): one if to_value is None else to_value(one)
                for key, one in value.items()
            }

        return to_dict
    return None


def _integer(value: Any) -> Any:
    """A reader who asks for an integer takes a float that is one."""
    if type(value) is float:
        if not value.is_integer():
            raise InvalidValueError(f"an integer is needed, not {value}")
        return int(value)
    return value


def _float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _class(to: type) -> Converter | None:
    if to is int:
        return _integer
    if to is float:
        return _float
    if to is tuple:
        return lambda value: tuple(value) if isinstance(value, list) else value
    if to in (set, frozenset):
        return to
    from decimal import Decimal
    from enum import Enum

    if to is Decimal:
        return lambda value: Decimal(value) if type(value) is int else value
    if issubclass(to, Enum):
        return lambda value: value if isinstance(value, to) else _member(to, value)
    if issubclass(to, tuple) and hasattr(to, "_fields"):
        return _members(to, list(to._fields))
    if hasattr(to, "__dataclass_fields__"):
        import dataclasses

        return _members(to, [field.name for field in dataclasses.fields(cast("Any", to)) if field.init])
    return None


def _member(to: Any, value: Any) -> Any:
    """An enum is passed by name, one of integers by its number."""
    if isinstance(value, str) and value in to.__members__:
        return to[value]
    return to(value)


def _folded(name: Any) -> Any:
    return name.replace("_", "").casefold() if isinstance(name, str) else name


def _members(to: Any, names: list[str]) -> Converter:
    """Makes an object of its members: a map by their names, an array by their order."""
    cached: list[Any] = []

    def make(value: Any) -> Any:
        if isinstance(value, to):
            return value
        if not cached:
            # Only now: the class may refer to others that were written after it.
            hints = typing.get_type_hints(to)
            cached.append([_converter(hints.get(name, Any)) for name in names])
        if isinstance(value, (list, tuple)):
            given = dict(zip(names, value, strict=False))
        elif isinstance(value, dict):
            given = _matched(names, value)
        else:
            raise InvalidValueError(f"a {to.__name__} is made of a map or an array, not of {type(value).__name__}")
        for name, each in zip(names, cached[0], strict=True):
            if each is not None and name in given:
                given[name] = each(given[name])
        return to(**given)

    return make


def _matched(names: list[str], value: dict[Any, Any]) -> dict[str, Any]:
    """Members match exactly, else without regard to case and underscores. Unknown ones are ignored."""
    given = {name: value[name] for name in names if name in value}
    if len(given) < len(names):
        folded: dict[Any, Any] = {}
        for key, one in value.items():
            folded.setdefault(_folded(key), one)
        for name in names:
            if name not in given and _folded(name) in folded:
                given[name] = folded[_folded(name)]
    return given
