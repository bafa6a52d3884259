"""Saving, loading, deleting and listing blocks in the store that is in use. Everything here may block."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from infrablocks.blocks.block import Block, is_interface
from infrablocks.blocks.registry import get_block_class
from infrablocks.blocks.stores.choice import current_store
from infrablocks.blocks.stores.names import checked_name, is_of_class, key_of
from infrablocks.blocks.stores.reading import block_of
from infrablocks.blocks.stores.store import BlockKey
from infrablocks.blocks.stores.type_facts import facts_of
from infrablocks.blocks.stores.writing import document_of, remember_saved
from infrablocks.exceptions import BlockError, BlockNotFound

if TYPE_CHECKING:
    from infrablocks.blocks.stores.store import Store

BlockT = TypeVar("BlockT", bound=Block)


def save_block(block: Block, name: str, *, overwrite: bool) -> None:
    """Save a block; see `Block.save`."""
    store = current_store()
    key = BlockKey(block.get_block_type_slug(), checked_name(name))
    document = document_of(block, key, store.location)
    store.save(document, facts_of(type(block)), overwrite=overwrite)
    remember_saved(block, document, store.location)


def load_block(block_class: type[BlockT], name: str) -> BlockT:
    """Load a block; see `Block.load`."""
    block: Any = _load(current_store(), key_of(block_class, name), block_class, ())
    loaded: BlockT = block
    return loaded


def delete_block(block_class: type[Block], name: str) -> None:
    """Delete a saved block; see `Block.delete`."""
    current_store().delete(key_of(block_class, name))


def list_blocks(block_class: type[Block]) -> list[str]:
    """List saved blocks; see `Block.list`."""
    store = current_store()
    if not is_interface(block_class):
        return [key.name for key in store.keys(block_class.get_block_type_slug())]
    keys = store.keys()
    slugs = {key.type_slug for key in keys}
    wanted = {slug for slug in slugs if _is_known_to_be(slug, block_class)}
    return [str(key) for key in keys if key.type_slug in wanted]


def _is_known_to_be(type_slug: str, block_class: type[Block]) -> bool:
    try:
        return is_of_class(type_slug, block_class)
    except BlockNotFound:
        return False


def _load(store: Store, key: BlockKey, block_class: type[Block], inside: tuple[BlockKey, ...]) -> Block:
    """Load a block and those it refers to.

    Args:
        store: The store.
        key: Which one.
        block_class: What it must be of; `Block` for any.
        inside: The blocks that refer to this one, the outermost first.
    """
    if key in inside:
        raise BlockError(f"{inside[0]} cannot be loaded: it holds {' which holds '.join(map(str, (*inside[1:], key)))}")
    document = store.load(key)
    own = _class_of(key, block_class)
    block = block_of(document, own, lambda other: _load_reference(store, other, (*inside, key)))
    if document.checksum not in {None, facts_of(own).checksum}:
        warnings.warn(
            f"{key} was saved when the block type {key.type_slug!r} had other fields. It still fits: look whether it "
            "is as it should be, and save it again to end this warning.",
            stacklevel=2,
        )
    remember_saved(block, document_of(block, key, store.location), store.location)
    return block


def _load_reference(store: Store, key: BlockKey, inside: tuple[BlockKey, ...]) -> Block:
    try:
        return _load(store, key, Block, inside)
    except BlockNotFound as error:
        raise BlockNotFound(f"{inside[-1]} refers to {key}, which cannot be loaded: {error}") from error


def _class_of(key: BlockKey, block_class: type[Block]) -> type[Block]:
    if not is_interface(block_class) and block_class.get_block_type_slug() == key.type_slug:
        return block_class
    try:
        return get_block_class(key.type_slug)
    except BlockNotFound as error:
        raise BlockNotFound(f"{key} is saved, but cannot be loaded: {error}; is its package installed?") from error
