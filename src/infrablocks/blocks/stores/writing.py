"""From a block to the document that a store keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, RootModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from infrablocks.blocks.annotations import SECRET_TYPES, input_name, item_annotation
from infrablocks.blocks.block import Block
from infrablocks.blocks.plain_data import contains_secret, is_default
from infrablocks.blocks.stores.store import BlockDocument, BlockKey, SecretPlace
from infrablocks.blocks.stores.type_facts import facts_of
from infrablocks.exceptions import InvalidBlockDocument

if TYPE_CHECKING:
    from infrablocks.blocks.masking import Path

TYPE_KEY = "block_type_slug"
"""The key that says of which type a block inside of another one is, as in the documents of Prefect."""


@dataclass(frozen=True)
class SavedAs:
    """Where a block was saved or loaded from, and what it held then: as long as it holds this, a reference will do.

    Attributes:
        location: Of the store.
        key: Type and name.
        digest: Of its document.
    """

    location: str
    key: BlockKey
    digest: str


def document_of(block: Block, key: BlockKey, location: str) -> BlockDocument:
    """Make the document of a block.

    Args:
        block: The block.
        key: What it is to be found by.
        location: Of the store: saved blocks inside of it become references if they are in the same one.

    Raises:
        InvalidBlockDocument: The block holds something that no document can, such as an object of Python.
    """
    writer = _Writer(location)
    try:
        data = writer.fields(block, ())
    except (ValueError, RecursionError) as error:  # pydantic's, for what is no plain data or contains itself
        raise InvalidBlockDocument(f"{key}: cannot be saved: {error}") from error
    return BlockDocument(key, data, writer.references, tuple(writer.secrets), facts_of(type(block)).checksum)


def digest_of(document: BlockDocument) -> str:
    """Give a digest of what a document holds, whatever its name."""
    content = [document.data, list(document.references.items()), document.secrets]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def remember_saved(block: Block, document: BlockDocument, location: str) -> None:
    """Note in a block where it is saved, so that other blocks can refer to it."""
    object.__setattr__(block, "_saved_as", SavedAs(location, document.key, digest_of(document)))


class _Writer:
    """Turns one block into plain data, and notes its references and secrets."""

    def __init__(self, location: str) -> None:
        self.references: dict[Path, BlockKey] = {}
        self.secrets: list[SecretPlace] = []
        self._location = location

    def fields(self, model: BaseModel, path: Path) -> dict[str, Any]:
        """Give the fields that were given or differ from their defaults, by the names under which the model takes them.

        Which fields were given is part of a block: a default may mean something else than the same value given.
        """
        dumped = model.model_dump(mode="json", by_alias=False, warnings=False)
        given = model.model_fields_set
        result: dict[str, Any] = {}
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if name in dumped and (name in given or not is_default(value, field)):
                key = input_name(type(model), name)
                owner = _Owner(model, name, len(path))
                result[key] = self._value(value, dumped[name], field.annotation, (*path, key), owner)
        for name, value in (model.model_extra or {}).items():
            result[name] = self._value(value, dumped[name], None, (*path, name), _Owner(model, name, len(path)))
        return result

    def _value(self, value: Any, dumped: Any, annotation: Any, path: Path, owner: _Owner) -> Any:
        """Give the plain form of one value; `dumped` is pydantic's, in which secrets are masked."""
        if isinstance(value, SECRET_TYPES) or owner.says_secret(value, path):
            self.secrets.append(SecretPlace(path, isinstance(value, SecretStr)))
            return _revealed(value)
        if isinstance(dumped, dict) and isinstance(value, BaseModel) and not isinstance(value, RootModel):
            return self._nested(value, path)
        if isinstance(value, RootModel):
            value, annotation = value.root, None
        below = item_annotation(annotation)
        if isinstance(dumped, dict) and isinstance(value, Mapping) and len(dumped) == len(value):
            pairs = zip(dumped.items(), value.values(), strict=True)
            return {key: self._value(inner, plain, below, (*path, key), owner) for (key, plain), inner in pairs}
        if isinstance(dumped, list) and isinstance(value, list | tuple | AbstractSet) and len(dumped) == len(value):
            items = enumerate(zip(value, dumped, strict=True))
            return [self._value(inner, plain, below, (*path, number), owner) for number, (inner, plain) in items]
        if contains_secret(value):
            place = ".".join(map(str, path))
            raise ValueError(f"{place}: a secret in a {type(value).__name__} cannot be told from the rest")
        return value if type(value) is float and dumped is None else dumped  # infinity, which pydantic's JSON has not

    def _nested(self, model: BaseModel, path: Path) -> Any:
        if not isinstance(model, Block):
            return self.fields(model, path)
        key = self._reference_to(model)
        if key is not None:
            self.references[path] = key
            return None
        return {TYPE_KEY: model.get_block_type_slug(), **self.fields(model, path)}

    def _reference_to(self, block: Block) -> BlockKey | None:
        saved: SavedAs | None = getattr(block, "_saved_as", None)
        if saved is None or saved.location != self._location:
            return None
        return saved.key if digest_of(document_of(block, saved.key, self._location)) == saved.digest else None


@dataclass(frozen=True)
class _Owner:
    """The field that a value belongs to: its model, its name, and how deep in the document the model stands."""

    model: BaseModel
    field: str
    depth: int

    def says_secret(self, value: Any, path: Path) -> bool:
        """Say whether a value of no secret type is secret by the word of its block."""
        by_word = getattr(self.model, "_holds_secret", None)
        return value is not None and by_word is not None and bool(by_word((self.field, *path[self.depth + 1 :])))


def _revealed(value: Any) -> Any:
    """Give a secret value as plain data."""
    match value:
        case SecretBytes():
            return value.get_secret_value().decode()
        case _ if isinstance(value, SECRET_TYPES):
            return _revealed(value.get_secret_value())
        case BaseModel():
            return {name: _revealed(inner) for name, inner in value}
        case Mapping():
            return {str(key): _revealed(inner) for key, inner in value.items()}
        case list() | tuple() | AbstractSet():
            return [_revealed(inner) for inner in value]
        case _:
            return to_jsonable_python(value)
