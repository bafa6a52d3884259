"""What a store of blocks has to do, and the plain data that it keeps of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.blocks.masking import Path


class BlockKey(NamedTuple):
    """What a saved block is found by; written as `slug/name`.

    Attributes:
        type_slug: The slug of its type.
        name: The name it was saved as.
    """

    type_slug: str
    name: str

    def __str__(self) -> str:
        return f"{self.type_slug}/{self.name}"


class SecretPlace(NamedTuple):
    """Where a secret stands in the data of a document.

    Attributes:
        path: Keys of mappings and numbers of list items that lead to it.
        is_typed: Whether it is made a `SecretStr` when the block is loaded. Others are secret by their field, or by the
            block's own word.
    """

    path: Path
    is_typed: bool


@dataclass(frozen=True)
class BlockDocument:
    """A saved block as plain data.

    Attributes:
        key: Type and name.
        data: The fields that were given or differ from their defaults, as JSON has them, secrets in plain text. A block
            in a field, which was not saved by itself, is a mapping of its own fields with its slug as
            `block_type_slug`; one that was saved is None here and stands in `references`.
        references: The saved blocks in fields, by the paths where they belong.
        secrets: Where secrets stand in `data`; None when the store cannot tell, so that all are taken for secrets that
            can be.
        checksum: Of the schema of the block type when the block was saved (`Block._calculate_schema_checksum`); None
            when the store cannot tell.
    """

    key: BlockKey
    data: dict[str, Any]
    references: Mapping[Path, BlockKey] = field(default_factory=dict)
    secrets: tuple[SecretPlace, ...] | None = ()
    checksum: str | None = None


@dataclass(frozen=True)
class BlockTypeFacts:
    """What a store may keep of a block type, for other programs that read it.

    Attributes:
        slug: The slug.
        name: The name for people.
        capabilities: What such a block can do, sorted.
        schema: The JSON schema of its fields.
        checksum: Of this schema.
        description: What it is for.
        code_example: How to use it.
        logo_url: Address of a picture.
        documentation_url: Address of the documentation.
    """

    slug: str
    name: str
    capabilities: tuple[str, ...]
    schema: dict[str, Any]
    checksum: str
    description: str | None = None
    code_example: str | None = None
    logo_url: str | None = None
    documentation_url: str | None = None


class Store(ABC):
    """Keeps blocks. Every method may block and is called in a worker thread, also by several threads at once.

    What goes wrong with the store itself is a `BlockStoreError`, whose message says where the store is and what to do.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the store is, a path or an address without credentials: for messages, and to tell two stores apart."""

    @abstractmethod
    def save(self, document: BlockDocument, block_type: BlockTypeFacts, *, overwrite: bool) -> None:
        """Keep a document: all of it, or nothing when this raises.

        Args:
            document: The document.
            block_type: The type of the block.
            overwrite: Whether it may take the place of one with the same key.

        Raises:
            BlockAlreadyExists: There is one with this key, and `overwrite` is false.
            BlockNotFound: A block that it refers to is not in the store.
            BlockStoreError: The store is out of reach or cannot be written to.
        """

    @abstractmethod
    def load(self, key: BlockKey, *, with_secrets: bool = True) -> BlockDocument:
        """Give the document with this key.

        Args:
            key: Type and name.
            with_secrets: Give secrets in plain text; else they are masked in `data`, and no key is needed.

        Raises:
            BlockNotFound: There is none.
            BlockStoreError: The store is out of reach or cannot be read, or its secrets cannot be decrypted.
        """

    @abstractmethod
    def delete(self, key: BlockKey) -> None:
        """Delete the document with this key.

        Raises:
            BlockNotFound: There is none.
            BlockStoreError: The store is out of reach or cannot be written to.
        """

    @abstractmethod
    def keys(self, type_slug: str | None = None) -> list[BlockKey]:
        """List the keys of all documents, sorted.

        Args:
            type_slug: Only those of this type.

        Raises:
            BlockStoreError: The store is out of reach or cannot be read.
        """
