"""Secrets of a block: which paths hold one, and what is shown in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks._environment import MASK
from infrablocks.blocks.annotations import SECRET_TYPES, secret_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

Path = tuple[str | int, ...]


class SecretPaths:
    """The paths of one block class that hold a secret, by the types of its fields or by its own word."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._patterns = [tuple(pattern.split(".")) for pattern in secret_paths(model)]
        self._by_name = getattr(model, "_holds_secret", None)

    def __contains__(self, path: Path) -> bool:
        """Say whether a value at this path, seen from the block, is secret or part of a secret."""
        names = tuple(name for name in path if not isinstance(name, int))
        if any(_begins_with(names, pattern) for pattern in self._patterns):
            return True
        return self._by_name is not None and any(self._by_name(path[:end]) for end in range(1, len(path) + 1))


def masked(value: Any, path: Path, is_secret: Callable[[Path], bool]) -> Any:
    """Give a value for people: the same, with what is secret in it masked.

    Secret types are left as they are; they mask themselves.

    Args:
        value: The value.
        path: Where it stands in the block.
        is_secret: Says whether a value at a path is secret.
    """
    if isinstance(value, SECRET_TYPES):
        return value
    if value is not None and is_secret(path):
        return MASK
    if type(value) is dict:
        return {key: masked(below, (*path, str(key)), is_secret) for key, below in value.items()}
    if type(value) is list or type(value) is tuple:
        return type(value)(masked(below, (*path, number), is_secret) for number, below in enumerate(value))
    return value


def _begins_with(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(names) >= len(pattern) and all(want in {"*", name} for want, name in zip(pattern, names, strict=False))
