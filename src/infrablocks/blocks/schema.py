"""What the JSON schema of a block holds besides pydantic's, and its checksum."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from infrablocks.blocks.annotations import nested_models, reachable_models, secret_paths
from infrablocks.blocks.block import Block

if TYPE_CHECKING:
    from collections.abc import Mapping

# These explain; none of them changes which values are valid. `definitions` is the old name of `$defs`.
_PROSE = frozenset({"title", "description", "examples", "example", "deprecated", "$comment"})
_NAMES_BELOW = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_DATA_BELOW = frozenset({"default", "const", "enum", "block_schema_references", "block_type_slug", "secret_fields"})


def block_schema_extras(block_class: type[Block]) -> dict[str, Any]:
    """Give the keys that a block's JSON schema has besides pydantic's.

    Args:
        block_class: The block class.

    Returns:
        `block_type_slug`, `secret_fields` and `block_schema_references`.
    """
    return {
        "block_type_slug": block_class.get_block_type_slug(),
        "secret_fields": list(dict.fromkeys(secret_paths(block_class))),
        "block_schema_references": _references(block_class),
    }


def with_root_in_place(schema: dict[str, Any]) -> dict[str, Any]:
    """Put the schema of a model that contains itself at the top, where pydantic has only a reference to it."""
    name = _root_definition(schema)
    if name is None:
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
    return {**schema["$defs"][name], **rest}


def checksum_of(schema: Mapping[str, Any]) -> str:
    """Give the checksum of a block's JSON schema.

    Two schemas that accept the same values have the same checksum, whatever their prose, in every process and on every
    version of Python. Ways of writing one thing that differ between versions of pydantic count as the same.

    Args:
        schema: The schema, as `model_json_schema` gives it.

    Returns:
        "sha256:" and the digest in hexadecimal.
    """
    text = json.dumps(_canonical(schema), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _references(block_class: type[Block]) -> dict[str, Any]:
    references: dict[str, Any] = {}
    for name, field in block_class.model_fields.items():
        nested = dict.fromkeys(nested_models(field.annotation))
        found = [_reference(one, block_class) for one in nested if issubclass(one, Block)]
        if found:
            references[name] = found[0] if len(found) == 1 else found
    return references


def _reference(nested: type[Block], block_class: type[Block]) -> dict[str, str]:
    reference = {"block_type_slug": nested.get_block_type_slug()}
    # A block that leads back to this one has no checksum of its own that this one's could be made of.
    if nested is not block_class and block_class not in reachable_models(nested):
        reference["block_schema_checksum"] = nested._calculate_schema_checksum()  # noqa: SLF001
    return reference


def _root_definition(schema: Mapping[str, Any]) -> str | None:
    alone = schema.get("allOf", [])
    reference = schema.get("$ref") or (alone[0].get("$ref") if len(alone) == 1 else None)
    return reference.rpartition("/")[2] if reference else None


def _canonical(node: Any) -> Any:
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    if not isinstance(node, dict):
        return _canonical_data(node)
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in _NAMES_BELOW:
            result[key] = {name: _canonical(below) for name, below in value.items()}
        elif key in _DATA_BELOW:
            result[key] = _canonical_data(value)
        elif key not in _PROSE:
            result[key] = _canonical(value)
    return _without_dialect(result)


def _canonical_data(value: Any) -> Any:
    if isinstance(value, list):
        return [_canonical_data(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical_data(below) for key, below in value.items()}
    # 1 and 1.0 are the same number of JSON; which one is written depends on pydantic.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_dialect(node: dict[str, Any]) -> dict[str, Any]:
    """Undo what versions of pydantic write in different ways."""
    if node.get("additionalProperties") is True:
        del node["additionalProperties"]  # is what its absence means
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if len(node.get("allOf", [])) == 1:
        node = {**node.pop("allOf")[0], **node}
    if "required" in node:
        node["required"] = sorted(node["required"])
    return node
