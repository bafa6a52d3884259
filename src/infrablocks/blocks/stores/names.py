"""Names of saved blocks: lower case letters, digits and dashes; with the slug of their type, `slug/name`."""

from __future__ import annotations

import re

from infrablocks.blocks.block import Block, is_interface
from infrablocks.blocks.registry import get_block_class
from infrablocks.blocks.stores.store import BlockKey
from infrablocks.exceptions import InvalidBlockName

_NAME = re.compile(r"[a-z0-9-]+")


def checked_name(name: str) -> str:
    """Give the name back.

    Raises:
        InvalidBlockName: No block can be saved as this.
    """
    if not _NAME.fullmatch(name):
        raise InvalidBlockName(f"{name!r} is not the name of a block: use lower case letters, digits and dashes only")
    return name


def key_of(block_class: type[Block], name: str) -> BlockKey:
    """Tell which saved block is meant by a name that a class was called with.

    Args:
        block_class: A class of blocks; `Block` and abstract classes need the slug too.
        name: `name` or `slug/name`.

    Raises:
        InvalidBlockName: The slug is missing or of another class, or it is no name of a block.
        BlockNotFound: The slug is of a type that is not known, so that it cannot be of this class.
    """
    slug, slash, rest = name.rpartition("/")
    if not slash:
        if is_interface(block_class):
            raise InvalidBlockName(f"{name!r} does not say of which type the block is: write slug/name")
        return BlockKey(block_class.get_block_type_slug(), checked_name(rest))
    key = BlockKey(checked_name(slug), checked_name(rest))
    if not is_of_class(key.type_slug, block_class):
        raise InvalidBlockName(f"{key} is not the name of a block of {block_class.__name__}")
    return key


def is_of_class(type_slug: str, block_class: type[Block]) -> bool:
    """Say whether a type is a class of blocks or one below it; of `Block` is every type, known here or not.

    Raises:
        BlockNotFound: There is no such type.
    """
    if block_class is Block:
        return True
    if not is_interface(block_class) and type_slug == block_class.get_block_type_slug():
        return True
    return issubclass(get_block_class(type_slug), block_class)
