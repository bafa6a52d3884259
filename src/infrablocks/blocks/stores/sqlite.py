"""The default store: a SQLite file, `$INFRABLOCKS_HOME/blocks.db`."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from infrablocks._environment import MASK
from infrablocks._home import library_home
from infrablocks.blocks.stores.encryption import KEY_VARIABLE, decrypted, encrypted
from infrablocks.blocks.stores.sqlite_file import read, write
from infrablocks.blocks.stores.store import BlockDocument, BlockKey, SecretPlace, Store
from infrablocks.exceptions import BlockAlreadyExists, BlockNotFound, BlockStoreError

if TYPE_CHECKING:
    import sqlite3

    from infrablocks.blocks.masking import Path
    from infrablocks.blocks.stores.store import BlockTypeFacts


class SqliteStore(Store):
    """Keeps blocks in a SQLite file, which any number of processes may use at the same time.

    Secrets are kept apart from the rest: encrypted if there is a key, and otherwise as they are, in a file that only
    its owner may read.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = _default_path() if path is None else path

    @property
    def location(self) -> str:
        """The path of the file."""
        return self._path

    def save(self, document: BlockDocument, block_type: BlockTypeFacts, *, overwrite: bool) -> None:
        """Keep a document; see `Store.save`. What a store may keep of its type is not needed here."""
        row = _row_of(document, block_type.checksum)
        is_plain = row.secrets is not None and not row.is_encrypted
        is_first_plain = False

        def change(connection: sqlite3.Connection) -> None:
            nonlocal is_first_plain
            if not overwrite and _exists(connection, document.key):
                raise BlockAlreadyExists(
                    f"a block {document.key} is saved already: take another name, or overwrite it (overwrite=True)"
                )
            for key in document.references.values():
                if not _exists(connection, key):
                    raise BlockNotFound(f"{document.key} refers to {key}, which is not saved any more: save it again")
            is_first_plain = is_plain and not _has_plain_secrets(connection)
            connection.execute("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?)", (*document.key, *row))

        write(self._path, change)
        if is_first_plain:
            warnings.warn(
                f"Secrets are saved unencrypted in {self._path}, which only its owner may read. To encrypt them, "
                f"install infrablocks[secrets], set {KEY_VARIABLE}, and save the block again. This is said only once.",
                stacklevel=2,
            )

    def load(self, key: BlockKey, *, with_secrets: bool = True) -> BlockDocument:
        """Give the document with this key; see `Store.load`."""
        query = "SELECT document, secrets, is_encrypted, checksum FROM block WHERE type_slug = ? AND name = ?"
        found = read(self._path, lambda connection: connection.execute(query, key).fetchone())
        if found is None:
            raise self._not_found(key)
        try:
            return _document_of(key, _Row(*found), with_secrets=with_secrets)
        except BlockStoreError as error:
            raise BlockStoreError(f"{key} cannot be loaded from {self._path}: {error}") from error.__cause__

    def delete(self, key: BlockKey) -> None:
        """Delete the document with this key; see `Store.delete`."""

        def change(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM block WHERE type_slug = ? AND name = ?", key).rowcount:
                raise self._not_found(key)

        if key not in self.keys(key.type_slug):  # so that no file is made
            raise self._not_found(key)
        write(self._path, change)

    def keys(self, type_slug: str | None = None) -> list[BlockKey]:
        """List the keys of all documents; see `Store.keys`."""
        query = "SELECT type_slug, name FROM block WHERE ? IN ('', type_slug) ORDER BY type_slug, name"
        rows = read(self._path, lambda connection: connection.execute(query, (type_slug or "",)).fetchall())
        return [BlockKey(*row) for row in rows or ()]

    def _not_found(self, key: BlockKey) -> BlockNotFound:
        return BlockNotFound(
            f"there is no saved block {key} in {self._path}; `infrablocks block ls` lists those there are"
        )


def _default_path() -> str:
    return f"{library_home()}/blocks.db"


class _Row(NamedTuple):
    """A document as the table holds it, besides its key."""

    document: str
    secrets: bytes | None
    is_encrypted: bool
    checksum: str


def _row_of(document: BlockDocument, checksum: str) -> _Row:
    data = deepcopy(document.data)
    places = document.secrets or ()
    secrets = json.dumps([_replaced(data, place.path, None) for place in places])
    token = encrypted(secrets) if places else None
    parts = {
        "data": data,
        "references": [[list(path), *key] for path, key in document.references.items()],
        "secrets": [[list(place.path), place.is_typed] for place in places],
    }
    return _Row(json.dumps(parts), (token or secrets.encode()) if places else None, token is not None, checksum)


def _document_of(key: BlockKey, row: _Row, *, with_secrets: bool) -> BlockDocument:
    parts = json.loads(row.document)
    data = parts["data"]
    places = tuple(SecretPlace(tuple(path), is_typed) for path, is_typed in parts["secrets"])
    if not with_secrets or row.secrets is None:
        values = [MASK] * len(places)
    else:
        values = json.loads(decrypted(row.secrets) if row.is_encrypted else row.secrets)
    for place, value in zip(places, values, strict=True):
        _replaced(data, place.path, value)
    references = {tuple(path): BlockKey(slug, name) for path, slug, name in parts["references"]}
    return BlockDocument(key, data, references, places, row.checksum)


def _replaced(data: Any, path: Path, value: Any) -> Any:
    """Put a value at a path into plain data and give the one that was there."""
    for step in path[:-1]:
        data = data[step]
    before, data[path[-1]] = data[path[-1]], value
    return before


def _exists(connection: sqlite3.Connection, key: BlockKey) -> bool:
    found = connection.execute("SELECT 1 FROM block WHERE type_slug = ? AND name = ?", key).fetchone()
    return found is not None


def _has_plain_secrets(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM block WHERE secrets IS NOT NULL AND NOT is_encrypted LIMIT 1").fetchone()
    return found is not None
