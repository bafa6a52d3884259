"""Stores of blocks: where saved blocks are kept, and which of them is in use."""

from infrablocks.blocks.stores.choice import current_store
from infrablocks.blocks.stores.store import BlockDocument, BlockKey, BlockTypeFacts, SecretPlace, Store

__all__ = ["BlockDocument", "BlockKey", "BlockTypeFacts", "SecretPlace", "Store", "current_store"]
