"""A block as plain data (mappings, lists, text, numbers), with its secrets masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set as AbstractSet
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, RootModel

from infrablocks._environment import MASK
from infrablocks.blocks.annotations import SECRET_TYPES, input_name, item_annotation, models_in
from infrablocks.blocks.block import Block

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from infrablocks.blocks.masking import Path


def masked_fields(model: BaseModel) -> dict[str, Any]:
    """Give the fields of a block that differ from their defaults, as plain data with the secrets masked.

    Args:
        model: The block, or a model inside of one. The type of a block is left out; that of a block inside of it only
            where there is but one.

    Returns:
        The values by the names under which the model takes them, in the order of its fields.
    """
    dumped = model.model_dump(mode="json", warnings=False)
    result: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name == "type" and isinstance(model, Block):
            continue  # the slug says it
        if name in dumped and (_is_given(name, model) or not is_default(value, field)):
            result[input_name(type(model), name)] = _mask(value, dumped[name], field.annotation, (name,), model)
    for name, value in (model.model_extra or {}).items():
        result[name] = _mask(value, dumped[name], None, (name,), model)
    return result


def _is_given(name: str, model: BaseModel) -> bool:
    """Say whether a field was given, where that makes a difference to its default."""
    return isinstance(model, Block) and model._default_gives_way(name) and name in model.model_fields_set  # noqa: SLF001


def _mask(value: Any, dumped: Any, annotation: Any, path: Path, model: BaseModel) -> Any:
    """Mask the secrets of one value; `dumped` is pydantic's plain form, which shows them when a serializer says so."""
    holds_secret = getattr(model, "_holds_secret", None)
    if isinstance(value, SECRET_TYPES) or (value is not None and holds_secret is not None and holds_secret(path)):
        return MASK
    if isinstance(dumped, dict) and isinstance(value, BaseModel) and not isinstance(value, RootModel):
        return _nested_fields(value, annotation)
    if isinstance(value, RootModel):
        value, annotation = value.root, None
    below = item_annotation(annotation)
    if isinstance(dumped, dict) and isinstance(value, Mapping) and len(dumped) == len(value):
        pairs = zip(dumped.items(), value.values(), strict=True)
        return {key: _mask(inner, plain, below, (*path, key), model) for (key, plain), inner in pairs}
    if isinstance(dumped, list) and isinstance(value, list | tuple | AbstractSet) and len(dumped) == len(value):
        items = enumerate(zip(value, dumped, strict=True))
        return [_mask(inner, plain, below, (*path, number), model) for number, (inner, plain) in items]
    # The plain form has another shape than the value, so that a secret in it cannot be told from the rest.
    if contains_secret(value):
        return MASK
    return value if type(value) is float and dumped is None else dumped  # YAML has infinity, pydantic's JSON has not


def _nested_fields(model: BaseModel, annotation: Any) -> dict[str, Any]:
    fields = masked_fields(model)
    if isinstance(model, Block) and models_in(annotation) != [type(model)]:
        return {"type": model.get_block_type_slug(), **fields}
    return fields


def is_default(value: Any, field: FieldInfo) -> bool:
    """Say whether a field has its default, as far as that can be told without the other fields."""
    if field.is_required() or getattr(field, "default_factory_takes_validated_data", False):
        return False
    default = field.get_default(call_default_factory=True)
    return type(default) is type(value) and bool(default == value)


def contains_secret(value: Any) -> bool:
    """Say whether there is a value of a secret type in a value, at any depth."""
    return isinstance(value, SECRET_TYPES) or any(contains_secret(inner) for inner in _inner_values(value))


def _inner_values(value: Any) -> Iterator[Any]:
    if isinstance(value, BaseModel):
        yield from (inner for _, inner in value)
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | AbstractSet):
        yield from value
