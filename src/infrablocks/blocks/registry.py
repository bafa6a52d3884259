"""Which block classes there are, by their slug: those that are defined, and those that installed packages offer.

An installed package offers a class with an entry point in the group `infrablocks.blocks` whose name is the slug. It is
imported when its slug is asked for, and not before. Every function may be called from any thread.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING

from infrablocks.exceptions import BlockNotFound

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from infrablocks.blocks.block import Block

ENTRY_POINT_GROUP = "infrablocks.blocks"

_lock = threading.Lock()
_classes: dict[str, type[Block]] = {}


def register(block_class: type[Block]) -> None:
    """Let a class be found by its slug; called by `Block` when the class is defined.

    A class that is defined once more (a notebook cell, a reloaded module) takes the place of the older one.

    Args:
        block_class: The class.

    Raises:
        TypeError: Its slug is empty, or belongs to another class; the message names both.
    """
    slug = block_class.get_block_type_slug()
    if not slug:
        raise TypeError(
            f"{_full_name(block_class)} has no slug; give it a _block_type_slug of letters, digits and dashes"
        )
    with _lock:
        other = _classes.get(slug)
        if other is not None and not _is_redefinition(block_class, other):
            raise TypeError(
                f'two block classes have the slug "{slug}": {_full_name(other)} and {_full_name(block_class)}; '
                "give one of them another _block_type_slug"
            )
        _classes[slug] = block_class


def get_block_class(slug: str) -> type[Block]:
    """Find a block class.

    Args:
        slug: The slug of the block type, for example "process".

    Returns:
        The class, of a module that is wholly imported.

    Raises:
        BlockNotFound: There is none; the message lists similar slugs and those that are known. Or a package offers it,
            but could not be imported; then the error of the import is the cause.
    """
    block_class = _classes.get(slug)
    if block_class is None:
        block_class = _load(slug)
    elif block_class.__module__ in sys.modules:
        # Another thread may be in the middle of importing the module; this waits until it is done.
        importlib.import_module(block_class.__module__)
    return block_class


def list_block_types() -> list[str]:
    """List the slugs of all block types, sorted: those that are defined and those that installed packages offer."""
    return sorted({*_classes, *(entry_point.name for entry_point in _entry_points())})


def _load(slug: str) -> type[Block]:
    offers = {entry_point.value: entry_point for entry_point in _entry_points() if entry_point.name == slug}
    if not offers:
        raise BlockNotFound(_unknown(slug))
    if len(offers) > 1:
        rivals = " and ".join(_describe(offer) for offer in offers.values())
        raise BlockNotFound(f'several packages offer the block type "{slug}": {rivals}; uninstall all but one')
    (entry_point,) = offers.values()
    try:
        entry_point.load()
    except Exception as error:
        raise BlockNotFound(
            f'the block type "{slug}" cannot be loaded: {_describe(entry_point)} failed with '
            f"{type(error).__name__}: {error}"
        ) from error
    try:
        return _classes[slug]
    except KeyError:
        raise BlockNotFound(
            f'the block type "{slug}" cannot be loaded: {_describe(entry_point)} is no block class with that slug'
        ) from None


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - it costs more than all of this package

    return list(entry_points(group=ENTRY_POINT_GROUP))


def _describe(entry_point: EntryPoint) -> str:
    package = f" of {entry_point.dist.name}" if entry_point.dist else ""
    return f"the entry point {entry_point.name} = {entry_point.value}{package}"


def _unknown(slug: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for this message

    known = list_block_types()
    close = get_close_matches(slug, known, cutoff=0.75)
    hint = f"; did you mean {' or '.join(close)}?" if close else ";"
    return f'there is no block type "{slug}"{hint} known block types: {", ".join(known) or "none"}'


def _is_redefinition(new: type[Block], old: type[Block]) -> bool:
    if _module_name(new) != _module_name(old):
        return False
    # In a notebook, and inside a function, a class is often made once more, perhaps under a new name.
    return new.__qualname__ == old.__qualname__ or old.__module__ == "__main__" or "<locals>" in old.__qualname__


def _module_name(block_class: type[Block]) -> str:
    name = block_class.__module__
    if name == "__main__":
        # `python -m package.module`, with that module imported elsewhere too, defines the same classes twice.
        spec = getattr(sys.modules.get(name), "__spec__", None)
        return spec.name if spec is not None else name
    return name


def _full_name(block_class: type[Block]) -> str:
    return f"{block_class.__module__}.{block_class.__qualname__}"
