"""Frozen dataclasses to JSON and back, strictly: values from untrusted files are checked against the types.

Types may be str, int, float, bool, None, unions with None, tuple[X, ...], tuple[X, Y], dict[str, X], Any, dataclasses,
and `Name` for text that is never shown. Keys that a dataclass does not know are left out: newer versions add some.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from dafnet_core.config import sanitize

Name = Annotated[str, "any text"]  # such as names of subjects, which pages never show as Markdown
MOST_LETTERS = 4000


def to_json(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists; all else as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(inner) for inner in value]
    return value


def from_json(kind: Any, value: Any, where: str) -> Any:
    """A value of a type from JSON.

    Args:
        kind: a type as above; a dataclass may refuse more in its `__post_init__`.
        where: name of the place in messages, such as "metrics".

    Raises:
        ValueError: naming the place, the value and what was expected.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        (known,) = (k for k in inner if k is not type(None))
        return None if value is None else from_json(known, value, where)
    if origin is Annotated:
        need(isinstance(value, str), value, where, "text")
        return value
    if origin is tuple:
        return _tuple(inner, value, where)
    if origin is dict:
        need(isinstance(value, dict), value, where, "an object")
        for key in value:
            from_json(inner[0], key, f"a key of {where}")
        return {key: from_json(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _object(kind, value, where)
    check, expected = SIMPLE[kind]
    need(check(value), value, where, expected)
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and sanitize(value, MOST_LETTERS) == value


SIMPLE: dict[Any, tuple[Callable[[Any], bool], str]] = {
    float: (_is_number, "a number"),
    int: (lambda value: type(value) is int and value >= 0, "a whole number from 0 on"),
    bool: (lambda value: type(value) is bool, "true or false"),
    str: (_is_line, "one line of text without markup"),
}


def _tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    length = None if inner[-1] is Ellipsis else len(inner)
    fits = isinstance(value, list | tuple) and length in (None, len(value))
    need(fits, value, where, "a list" if length is None else f"a list of {length}")
    kinds = [inner[0]] * len(value) if length is None else inner
    return tuple(from_json(k, item, f"{where}[{n}]") for n, (k, item) in enumerate(zip(kinds, value, strict=True)))


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _object(kind: type, value: Any, where: str) -> Any:
    need(isinstance(value, dict), value, where, "an object")
    arguments = {}
    for f in fields(kind):
        if f.name in value:
            arguments[f.name] = from_json(_hints(kind)[f.name], value[f.name], f"{where}.{f.name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"{where}.{f.name} is missing")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def need(fits: bool, value: Any, where: str, expected: str) -> None:
    """Raises ValueError, naming the place, unless a value fits."""
    if not fits:
        raise ValueError(f"{where} is {sanitize(repr(value), 60)}; expected {expected}")


def all_or_nothing(value: Any, *names: str) -> None:
    """Raises ValueError where some of a dataclass's fields are known and others None."""
    unknown = [name for name in names if getattr(value, name) is None]
    if unknown and len(unknown) < len(names):
        raise ValueError(f"{unknown[0]} is None, but not all of {', '.join(names)}; expected all of them or none")
