"""Block types and their schemas in the Prefect API, where documents belong to a schema."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from infrablocks.blocks.registry import get_block_class
from infrablocks.blocks.stores.type_facts import facts_of
from infrablocks.exceptions import BlockNotFound, BlockStoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infrablocks.blocks.stores.prefect_client import PrefectClient
    from infrablocks.blocks.stores.store import BlockTypeFacts

_OLD_NAMES = {"$defs": "definitions"}
"""Prefect keeps schemas with the name that pydantic 1 had for this."""


def ensure_schema(client: PrefectClient, block_type: BlockTypeFacts, secret_fields: Sequence[str]) -> tuple[str, str]:
    """Let the server know a block type and its schema, and those of the blocks in its fields.

    Safe to repeat, also by several programs at once.

    Args:
        client: Makes the requests.
        block_type: The type.
        secret_fields: What the server is to mask, in place of the `secret_fields` of the type's schema.

    Returns:
        The ids of the type and of the schema.

    Raises:
        BlockStoreError: The server cannot be reached, or does not mask these fields.
    """
    fields = {**_as_prefect_has_it(block_type.schema), "secret_fields": list(secret_fields)}
    schema = _ensure_fields(client, block_type, fields, fields.get("definitions", {}))
    return schema["block_type_id"], schema["id"]


def _ensure_fields(
    client: PrefectClient, block_type: BlockTypeFacts, fields: dict[str, Any], definitions: Mapping[str, Any]
) -> Any:
    type_id = _ensure_type(client, block_type)
    references: dict[str, Any] = {}
    for name, found in fields.get("block_schema_references", {}).items():
        alternatives = found if isinstance(found, list) else [found]
        nested = [_ensure_nested(client, one, definitions) for one in alternatives]
        known = [one for one in nested if one is not None]
        if known:
            references[name] = known if isinstance(found, list) else known[0]
    body = {
        "fields": {**fields, "definitions": dict(definitions), "block_schema_references": references},
        "block_type_id": type_id,
        "capabilities": list(block_type.capabilities),
    }
    return _registered(client, block_type, body)


def _registered(client: PrefectClient, block_type: BlockTypeFacts, body: dict[str, Any]) -> Any:
    """Register a schema that masks all of its secret fields.

    The server compares schemas without their `secret_fields`: it may answer with one that it has had for long and that
    masks less. Such a schema stays, and this one is registered beside it, as another version.
    """
    wanted = _secret_fields(body)
    schema = client.post("/block_schemas/", body)
    if wanted <= _secret_fields(schema):
        return schema
    digest = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()
    schema = client.post("/block_schemas/", {**body, "version": f"secret-fields-{digest[:16]}"})
    if missing := sorted(wanted - _secret_fields(schema)):
        raise BlockStoreError(
            f"the Prefect API at {client.location} does not mask the secret fields of the block type "
            f"{block_type.slug!r} ({', '.join(missing)}), so that everybody who may use it could read them: nothing "
            "was saved. Update the server, or keep the block in another store"
        )
    return schema


def _secret_fields(schema: Mapping[str, Any]) -> set[str]:
    return set((schema.get("fields") or {}).get("secret_fields") or ())


def _ensure_nested(
    client: PrefectClient, reference: Mapping[str, str], definitions: Mapping[str, Any]
) -> dict[str, str] | None:
    """Register the schema of a block in a field, and give the reference with the server's own checksum of it."""
    if "block_schema_checksum" not in reference:
        return None  # a block that leads back to the one it is in: Prefect has no such references
    slug = reference["block_type_slug"]
    fields = next((one for one in definitions.values() if one.get("block_type_slug") == slug), None)
    if fields is None:
        return None
    schema = _ensure_fields(client, _facts_of(slug), fields, definitions)
    return {"block_type_slug": slug, "block_schema_checksum": schema["checksum"]}


def _facts_of(slug: str) -> BlockTypeFacts:
    try:
        return facts_of(get_block_class(slug))
    except BlockNotFound as error:
        raise BlockStoreError(f"the type {slug!r} of a block in a field is not known here: {error}") from error


def _ensure_type(client: PrefectClient, block_type: BlockTypeFacts) -> str:
    path = f"/block_types/slug/{block_type.slug}"
    found = client.get(path)
    if found is None:
        body = {
            "name": block_type.name,
            "slug": block_type.slug,
            "logo_url": block_type.logo_url,
            "documentation_url": block_type.documentation_url,
            "description": block_type.description,
            "code_example": block_type.code_example,
        }
        # Somebody else may have been faster.
        found = client.post("/block_types/", body, conflict=True) or client.get(path)
    if found is None:
        raise BlockStoreError(f"the Prefect API at {client.location} does not keep the block type {block_type.slug!r}")
    return str(found["id"])


def _as_prefect_has_it(node: Any) -> Any:
    match node:
        case dict():
            return {_OLD_NAMES.get(key, key): _as_prefect_has_it(value) for key, value in node.items()}
        case list():
            return [_as_prefect_has_it(item) for item in node]
        case str() if node.startswith("#/$defs/"):
            return "#/definitions/" + node.removeprefix("#/$defs/")
        case _:
            return node
