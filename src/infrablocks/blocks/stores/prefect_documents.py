"""Documents as the Prefect API has them, and as the stores of infrablocks have them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from infrablocks._environment import MASK
from infrablocks.blocks.masking import SecretPaths, masked
from infrablocks.blocks.registry import get_block_class
from infrablocks.blocks.stores.store import BlockDocument, BlockKey, SecretPlace
from infrablocks.blocks.stores.writing import TYPE_KEY
from infrablocks.exceptions import BlockNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.blocks.masking import Path

OWN_KEY = "_infrablocks"
"""A key in the data for what Prefect's documents have no place for, such as where the secrets are."""


def data_of(document: BlockDocument, ids: Mapping[BlockKey, str]) -> dict[str, Any]:
    """Give what the server is to keep.

    Args:
        document: The document.
        ids: The server's ids of the documents that it refers to.
    """
    data = dict(document.data)
    inner_references = []
    for path, key in document.references.items():
        if len(path) == 1:
            data[str(path[0])] = {"$ref": {"block_document_id": ids[key]}}
        else:  # Prefect has no references from within a list or a mapping
            inner_references.append([list(path), *key])
    own = {
        "references": inner_references,
        "secrets": [[list(place.path), place.is_typed] for place in document.secrets or ()],
        "checksum": document.checksum,
    }
    return {**data, OWN_KEY: own}


def document_of(key: BlockKey, found: Mapping[str, Any]) -> BlockDocument:
    """Make a document of what the server keeps, secrets in plain text.

    Args:
        key: Type and name.
        found: The server's answer.
    """
    data = deepcopy(found["data"])
    own = data.pop(OWN_KEY, None)
    references = _take_references_out(data, found.get("block_document_references") or {}, ())
    if not isinstance(own, dict):  # saved by Prefect's own class
        data.pop(TYPE_KEY, None)
        return BlockDocument(key, data, references, secrets=None)
    for path, slug, name in own.get("references", ()):
        references[tuple(path)] = BlockKey(slug, name)
    places = tuple(SecretPlace(tuple(path), bool(is_typed)) for path, is_typed in own.get("secrets", ()))
    return BlockDocument(key, data, references, places, own.get("checksum"))


def is_ours(found: Mapping[str, Any]) -> bool:
    """Say whether the document was saved by infrablocks."""
    return isinstance(found["data"].get(OWN_KEY), dict)


def mask_secrets(document: BlockDocument) -> None:
    """Put masks in place of the secrets of a document: where it says they are, or else where its type may have any."""
    if document.secrets is None:
        _mask_by_type(document)
    for place in document.secrets or ():
        target: Any = document.data
        for step in place.path[:-1]:
            target = target[step]
        target[place.path[-1]] = MASK


def _mask_by_type(document: BlockDocument) -> None:
    """Mask what Prefect's own class has saved in clear, but the class of that type here calls secret."""
    try:
        secret_paths = SecretPaths(get_block_class(document.key.type_slug))
    except BlockNotFound:  # there are only the server's masks
        return
    for name, value in document.data.items():
        document.data[name] = masked(value, (name,), secret_paths.__contains__)


def _take_references_out(data: dict[str, Any], found: Mapping[str, Any], inside: Path) -> dict[Path, BlockKey]:
    """Take the blocks that the server has put in place of references out again."""
    references: dict[Path, BlockKey] = {}
    for name, reference in found.items():
        other, path = reference["block_document"], (*inside, name)
        slug = other["block_type"]["slug"]
        if other["is_anonymous"]:  # it has no name to be loaded by: Prefect keeps what was not saved like this
            nested = data[name]
            nested[TYPE_KEY] = slug
            references |= _take_references_out(nested, other.get("block_document_references") or {}, path)
        else:
            data[name] = None
            references[path] = BlockKey(slug, other["name"])
    return references
