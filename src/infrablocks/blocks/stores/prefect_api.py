"""The store in the Prefect API: blocks are shared between machines, and seen by Prefect's own programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infrablocks.blocks.stores.prefect_client import PrefectClient
from infrablocks.blocks.stores.prefect_documents import data_of, document_of, is_ours, mask_secrets
from infrablocks.blocks.stores.prefect_masks import secret_fields_of
from infrablocks.blocks.stores.prefect_schemas import ensure_schema
from infrablocks.blocks.stores.store import BlockKey, Store
from infrablocks.exceptions import BlockAlreadyExists, BlockNotFound, BlockStoreError

if TYPE_CHECKING:
    from infrablocks.blocks.stores.store import BlockDocument, BlockTypeFacts

_PAGE = 200  # the most that the API gives at once
_ATTEMPTS = 3


class PrefectApiStore(Store):
    """Keeps blocks as the block documents of the Prefect API at `PREFECT_API_URL`.

    A save is one request that the server does wholly or not at all, after those that make sure that it knows the type
    of the block. The server encrypts what it keeps.

    Raises:
        BlockStoreError: No address is set, or the extra `prefect` is not installed.
    """

    def __init__(self) -> None:
        self._client = PrefectClient()

    @property
    def location(self) -> str:
        """The address of the API, without credentials."""
        return self._client.location

    def save(self, document: BlockDocument, block_type: BlockTypeFacts, *, overwrite: bool) -> None:
        """Keep a document; see `Store.save`."""
        secret_fields = secret_fields_of(document, block_type.schema.get("secret_fields", ()))
        type_id, schema_id = ensure_schema(self._client, block_type, secret_fields)
        ids = {key: self._id_of(key, document.key) for key in document.references.values()}
        body = {"data": data_of(document, ids), "block_schema_id": schema_id}
        # When others save and delete it meanwhile, it may be there and then not: three times is no coincidence.
        for _ in range(_ATTEMPTS):
            made = {**body, "name": document.key.name, "block_type_id": type_id}
            if self._client.post("/block_documents/", made, conflict=True) is not None:
                return
            if not overwrite:
                raise BlockAlreadyExists(
                    f"a block {document.key} is saved already: take another name, or overwrite it (overwrite=True)"
                )
            found = self._find(document.key)
            replaced = {**body, "merge_existing_data": False}
            if found is not None and self._client.patch(f"/block_documents/{found['id']}", replaced):
                return
        raise BlockStoreError(f"{document.key} is saved and deleted by others all the time; nothing was saved")

    def load(self, key: BlockKey, *, with_secrets: bool = True) -> BlockDocument:
        """Give the document with this key; see `Store.load`."""
        found = self._find(key, with_secrets=True)
        if found is not None and not with_secrets and not is_ours(found):
            found = self._find(key)  # with the server's own masks
        if found is None:
            raise self._not_found(key)
        document = document_of(key, found)
        if not with_secrets:
            mask_secrets(document)
        return document

    def delete(self, key: BlockKey) -> None:
        """Delete the document with this key; see `Store.delete`."""
        found = self._find(key)
        if found is None or not self._client.delete(f"/block_documents/{found['id']}"):
            raise self._not_found(key)

    def keys(self, type_slug: str | None = None) -> list[BlockKey]:
        """List the keys of all documents; see `Store.keys`."""
        body: dict[str, Any] = {"block_documents": {"is_anonymous": {"eq_": False}}, "limit": _PAGE}
        if type_slug is not None:
            body["block_types"] = {"slug": {"any_": [type_slug]}}
        keys: set[BlockKey] = set()
        offset = 0
        while page := self._client.post("/block_documents/filter", {**body, "offset": offset}):
            keys |= {BlockKey(found["block_type"]["slug"], found["name"]) for found in page}
            offset += len(page)
        return sorted(keys)

    def _id_of(self, key: BlockKey, inside: BlockKey) -> str:
        found = self._find(key)
        if found is None:
            raise BlockNotFound(f"{inside} refers to {key}, which is not saved any more: save it again")
        return str(found["id"])

    def _find(self, key: BlockKey, *, with_secrets: bool = False) -> Any:
        path = f"/block_types/slug/{quote(key.type_slug)}/block_documents/name/{quote(key.name)}"
        return self._client.get(path, include_secrets="true" if with_secrets else "false")

    def _not_found(self, key: BlockKey) -> BlockNotFound:
        return BlockNotFound(
            f"there is no saved block {key} in {self.location}; `infrablocks block ls` lists those there are"
        )
