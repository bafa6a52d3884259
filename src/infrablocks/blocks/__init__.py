"""Blocks: pydantic models that say where and how something runs, found by their slug, kept as YAML files."""

from infrablocks.blocks.block import Block
from infrablocks.blocks.registry import get_block_class, list_block_types

__all__ = ["Block", "get_block_class", "list_block_types"]
