"""What a store may keep of a block type."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from infrablocks.blocks.stores.store import BlockTypeFacts

if TYPE_CHECKING:
    from infrablocks.blocks.block import Block

# Making a schema and its checksum takes longer than all the rest of a save.
_facts: WeakKeyDictionary[type[Block], BlockTypeFacts] = WeakKeyDictionary()


def facts_of(block_class: type[Block]) -> BlockTypeFacts:
    """Give what a store may keep of a block type."""
    facts = _facts.get(block_class)
    if facts is None:
        schema = block_class.model_json_schema()
        facts = _facts[block_class] = BlockTypeFacts(
            slug=block_class.get_block_type_slug(),
            name=block_class.get_block_type_name(),
            capabilities=tuple(sorted(block_class.get_block_capabilities())),
            schema=schema,
            checksum=block_class._calculate_schema_checksum(schema),  # noqa: SLF001
            description=block_class.get_description(),
            code_example=block_class.get_code_example(),
            logo_url=_text(block_class._logo_url),  # noqa: SLF001
            documentation_url=_text(block_class._documentation_url),  # noqa: SLF001
        )
    return facts


def _text(address: object) -> str | None:
    return None if address is None else str(address)
