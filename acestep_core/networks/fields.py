"""Fields of a parsed config.json, of the types and in the ranges that a network can have; checked before one is built."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, fields
from types import MappingProxyType
from typing import Any

from ..errors import UnsupportedCheckpointError

MOST = 2**18  # of any size; the largest table of a planner has 217,204 rows
MOST_IN_LIST = 2**10  # of a level, stride or multiple of width, and entries in a list
MOST_LAYERS = 2**10
LAYERS = "_layers"  # how the names of counts of layers end
WIDEST = 1e30  # of a real number
QUOTED = 40  # characters of a wrong value that a message shows


def picked(cls: type, raw: Mapping[str, Any], origin: str, lacking: str, again: str) -> dict[str, Any]:
    """The fields of a dataclass out of parsed JSON, lists as tuples.

    lacking, again: what helps where a field is missing, and where its value makes no sense.
    """
    wanted = fields(cls)
    if missing := [field.name for field in wanted if raw.get(field.name) is None]:
        raise UnsupportedCheckpointError(f"{origin} lacks {', '.join(missing)}.", lacking)
    for field in wanted:
        for name, value in senseless(field, raw[field.name]):
            raise UnsupportedCheckpointError(f"{origin} says {name} = {shown(value)}.", again)
    return {field.name: KEPT_AS.get(field.type, as_it_is)(raw[field.name]) for field in wanted}


def senseless(field: "Field[Any]", value: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of what has another type than the field, or a size that no network could have."""
    entry = ENTRIES.get(field.type)
    if entry is None:
        rule = is_layers if field.name.endswith(LAYERS) else RULES[field.type]
        if not rule(value):
            yield field.name, value
    elif not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_IN_LIST:
        yield field.name, value
    else:
        yield from ((f"{field.name}[{i}]", one) for i, one in enumerate(value) if not entry(one))


def is_size(value: Any) -> bool:
    """A whole number above 0; true and false are none."""
    return type(value) is int and 1 <= value <= MOST


def is_layers(value: Any) -> bool:
    """A count of layers."""
    return is_size(value) and value <= MOST_LAYERS


def is_small(value: Any) -> bool:
    """A size in a list."""
    return is_size(value) and value <= MOST_IN_LIST


def is_real(value: Any) -> bool:
    """A finite number above 0."""
    return type(value) in (int, float) and 0 < value < WIDEST


def is_name(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def as_it_is(value: Any) -> Any:
    """A value whose type in JSON is its own."""
    return value


RULES: Mapping[Any, Callable[[Any], bool]] = MappingProxyType(
    {int: is_size, float: is_real, bool: lambda value: isinstance(value, bool)}
)
ENTRIES: Mapping[Any, Callable[[Any], bool]] = MappingProxyType(
    {tuple[int, ...]: is_small, tuple[str, ...]: is_name}
)
KEPT_AS: Mapping[Any, Callable[[Any], Any]] = MappingProxyType(
    {float: float, tuple[int, ...]: tuple, tuple[str, ...]: tuple}
)


def shown(value: Any) -> str:
    """A stranger's value, short enough for a message; huge numbers cannot even be printed whole."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if type(value) is int and abs(value) >= 10**QUOTED:
        return f"a number of more than {QUOTED} digits"
    return f"{value!r:.{QUOTED}}"
