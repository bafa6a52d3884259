"""Plain JSON: a copy of it that is surely such, and pointers into it (RFC 6901)."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

_DEEPEST = 100


def plain_json(value: object, pointer: str = "", depth: int = 0) -> Any:
    """Copy a value, and make sure that JSON can hold it.

    Tuples become lists, and dates, which YAML has and JSON has not, their text.

    Args:
        value: The value.
        pointer: Where it stands.
        depth: How deep it stands.

    Raises:
        ValueError: JSON cannot hold it; says where, and of what type it is.
    """
    if depth > _DEEPEST:
        raise ValueError(f"{pointer} is nested more than {_DEEPEST} levels deep")
    match value:
        case str():
            return _text(value, pointer)
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case date():
            return value.isoformat()
        case dict():
            return {
                _key(key, pointer): plain_json(below, below_pointer(pointer, str(key)), depth + 1)
                for key, below in value.items()
            }
        case list() | tuple():
            return [
                plain_json(below, below_pointer(pointer, str(number)), depth + 1) for number, below in enumerate(value)
            ]
        case _:
            raise ValueError(
                f"{pointer or 'the whole'} is of the type {type(value).__name__}, which JSON does not have"
            )


def below_pointer(pointer: str, name: str) -> str:
    """Give the pointer to a value by its name in the mapping, or number in the list, that another one points to."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _key(key: object, pointer: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{pointer or 'the whole'} has the key {key!r}, which is no text: put it in quotes")  # noqa: TRY004
    return _text(key, pointer)


def _text(text: str, pointer: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{pointer or 'the whole'} holds half of a surrogate pair, which is no text") from None
    return text
