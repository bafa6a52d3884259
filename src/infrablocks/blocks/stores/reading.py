"""From the document that a store keeps to the block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import core_schema

from infrablocks._environment import MASK
from infrablocks.blocks.annotations import alternatives, input_names, item_annotation, models_in
from infrablocks.blocks.block import Block
from infrablocks.blocks.registry import get_block_class
from infrablocks.blocks.stores.writing import TYPE_KEY
from infrablocks.exceptions import BlockNotFound, InvalidBlockDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrablocks.blocks.masking import Path
    from infrablocks.blocks.stores.store import BlockDocument, BlockKey

_SHORTEST_SECRET = 4  # shorter ones would be found in any message

# The texts of these show no value; those of a validator may.
_PYDANTICS_OWN_ERRORS = frozenset(get_args(core_schema.ErrorType)) - {"value_error", "assertion_error"}


def block_of(document: BlockDocument, block_class: type[Block], load: Callable[[BlockKey], Block]) -> Block:
    """Make the block of a document.

    Args:
        document: The document.
        block_class: The class.
        load: Loads a block that the document refers to.

    Raises:
        InvalidBlockDocument: It does not fit the class; the message names the document and all fields that are wrong.
        BlockNotFound: It holds, or refers to, a block of a type that is not known here.
    """
    reader = _Reader(document, {path: load(key) for path, key in document.references.items()})
    try:
        block: Any = reader.model(document.data, block_class, ())
    except _DoesNotFitError as error:
        raise InvalidBlockDocument(
            f"{document.key}: no longer fits the block type {block_class.get_block_type_slug()!r}: {error}"
        ) from error.__cause__
    except BlockNotFound as error:
        raise BlockNotFound(f"{document.key}: holds a block that cannot be made: {error}") from error
    result: Block = block
    return result


class _DoesNotFitError(Exception):
    """Some fields do not fit; the message says which."""


class _Reader:
    """Makes the models of one document, from the inside out."""

    def __init__(self, document: BlockDocument, references: dict[Path, Block]) -> None:
        self._references = references
        self._takes_all_for_secrets = document.secrets is None
        self._typed_secrets = {place.path for place in document.secrets or () if place.is_typed}
        self._secret_places = {place.path for place in document.secrets or ()}
        self._secrets: set[str] = set()

    def model(self, data: dict[str, Any], model: type[BaseModel], path: Path) -> BaseModel:
        """Make a block, or another model that stands inside of one."""
        fields = self._fields(data, model, path)
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            problems = dict.fromkeys(self._problems(error, fields, path))
            raise _DoesNotFitError("; ".join(problems)) from error

    def _fields(self, data: dict[str, Any], model: type[BaseModel], path: Path) -> dict[str, Any]:
        annotations = input_names(model)
        return {name: self._value(value, annotations.get(name), (*path, name)) for name, value in data.items()}

    def _value(self, value: Any, annotation: Any, path: Path) -> Any:
        if path in self._references:
            return self._references[path]
        if path in self._secret_places:
            return self._secret(value, path)
        if isinstance(value, dict):
            return self._mapping(value, annotation, path)
        if isinstance(value, list):
            below = item_annotation(annotation)
            return [self._value(inner, below, (*path, number)) for number, inner in enumerate(value)]
        if isinstance(value, str) and self._takes_all_for_secrets and SecretStr in alternatives(annotation):
            self._secrets.add(value)
            return SecretStr(value)
        return value

    def _mapping(self, value: dict[str, Any], annotation: Any, path: Path) -> Any:
        block_class = _class_of(value, annotation)
        if block_class is not None:
            return self.model({name: value[name] for name in value if name != TYPE_KEY}, block_class, path)
        models = models_in(annotation)
        if len(models) == 1:
            return self._fields(value, models[0], path)
        below = item_annotation(annotation)
        return {key: self._value(inner, below, (*path, key)) for key, inner in value.items()}

    def _secret(self, value: Any, path: Path) -> Any:
        self._secrets.update(_texts_in(value))
        return SecretStr(value) if path in self._typed_secrets and isinstance(value, str) else value

    def _problems(self, error: ValidationError, fields: dict[str, Any], path: Path) -> Iterator[str]:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(map(str, (*path, *_existing_part(problem["loc"], fields))))
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] not in _PYDANTICS_OWN_ERRORS:
                text = self._without_secrets(text)
            yield " ".join(f"{place}: {text}".removeprefix(": ").split())

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, MASK)
        return text


def _class_of(data: dict[str, Any], annotation: Any) -> type[Block] | None:
    """Find the class of a block inside of another one; None when the mapping is none."""
    slug = data.get(TYPE_KEY)
    if not isinstance(slug, str):
        return None
    if any(issubclass(one, Block) for one in models_in(annotation)):
        return get_block_class(slug)
    if annotation is not None and annotation is not Any:
        return None
    try:
        return get_block_class(slug)
    except BlockNotFound:  # in a field of which nothing is known it may be a mapping that only looks like one
        return None


def _existing_part(location: tuple[int | str, ...], fields: Any) -> tuple[int | str, ...]:
    """Follow pydantic's location as far as there are values, without the names of union members behind it."""
    inside = fields
    for depth, step in enumerate(location):
        is_there = (
            step in inside if isinstance(inside, dict) else isinstance(inside, list) and step in range(len(inside))
        )
        if not is_there:
            return location[: max(depth, 1)]
        inside = inside[step]
    return location


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(inner)
