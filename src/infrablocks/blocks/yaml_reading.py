"""From YAML nodes to a block, with every problem at its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import core_schema

from infrablocks._environment import MASK
from infrablocks.blocks.annotations import has_text_keys, input_names, is_mapping_of_text, item_annotation, models_in
from infrablocks.blocks.block import Block, is_interface
from infrablocks.blocks.masking import Path, SecretPaths
from infrablocks.blocks.registry import get_block_class, list_block_types
from infrablocks.blocks.yaml_nodes import (
    NULL_TAG,
    STRING_TAG,
    EndlessError,
    NodeError,
    Walk,
    line_of,
    pairs_of,
    scalar_value,
)
from infrablocks.exceptions import BlockNotFound

_MASK_OF_ANYONE = re.compile(r"\*{8,}")  # ours has 8 asterisks, pydantic's 10
_SHORTEST_SECRET = 4  # shorter ones would be found in any message

# The texts of these show no value; those of a validator may, and "string" may be somebody's secret.
_PYDANTICS_OWN_ERRORS = frozenset(get_args(core_schema.ErrorType)) - {"value_error", "assertion_error"}

_ABSENT: Any = object()
"""Stands for a value that could not be read; the problem has been noted."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a file: where, in which field (dotted; "" for the whole), and what."""

    line: int
    field: str
    text: str


class BlockReader:
    """Reads one document. Afterwards `problems` has what is wrong with it; when it is empty, the block is good."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._lines: dict[Path, int] = {}
        self._secrets: set[str] = set()
        self._walk = Walk()

    def read(self, node: yaml.Node, block_class: type[Block]) -> Any:
        """Read the block that a root node describes.

        Args:
            node: The root node.
            block_class: The class that the block must be of; `Block` for any.

        Returns:
            The block, or something else when there are problems.
        """
        if not isinstance(node, yaml.MappingNode):
            self._note(line_of(node), (), "a block is a mapping of fields, such as `type: process`")
            return None
        try:
            return self._value(node, block_class, ())
        except EndlessError as error:
            self.problems = [Problem(error.line, "", error.problem)]
            return None

    def _note(self, line: int, path: Path, text: str) -> None:
        problem = Problem(line, _in_one_line(".".join(map(str, path))), _in_one_line(text))
        if problem not in self.problems:
            self.problems.append(problem)

    def _value(self, node: yaml.Node, annotation: Any, path: Path) -> Any:
        """Read a value of a field with this annotation (None when nothing is known of it)."""
        self._lines[path] = line_of(node)
        try:
            with self._walk.inside(node):
                if isinstance(node, yaml.MappingNode):
                    return self._mapping(node, annotation, path)
                if isinstance(node, yaml.SequenceNode):
                    return self._list(node, annotation, path)
                return scalar_value(node)
        except EndlessError:
            raise
        except NodeError as error:
            self._note(error.line, path, error.problem)
            return _ABSENT

    def _list(self, node: yaml.SequenceNode, annotation: Any, path: Path) -> Any:
        below = item_annotation(annotation)
        items = [self._value(item, below, (*path, number)) for number, item in enumerate(node.value)]
        return _ABSENT if any(item is _ABSENT for item in items) else items

    def _mapping(self, node: yaml.MappingNode, annotation: Any, path: Path) -> Any:
        models = models_in(annotation)
        blocks = [model for model in models if issubclass(model, Block)]
        if blocks:
            block_class = self._block_class(node, blocks, path)
            return _ABSENT if block_class is None else self._model(node, block_class, path)
        if (
            len(models) == 1
            and models[0].model_config.get("extra") != "allow"
            and not models[0].__pydantic_root_model__
        ):
            return self._model(node, models[0], path)
        # `NO: …` names a variable, `on: …` a key of a manifest; neither means a truth value.
        keys_as_text = has_text_keys(annotation)
        as_text = is_mapping_of_text(annotation)
        below = item_annotation(annotation)
        result: dict[Any, Any] = {}
        for key, value in self._unique(node, path):
            name = key.value if keys_as_text else scalar_value(key)
            if as_text and isinstance(value, yaml.ScalarNode) and value.tag != NULL_TAG:
                # `VERSION: 1.10` is meant as it is written, not as the number 1.1.
                self._lines[(*path, name)] = line_of(value)
                with self._walk.inside(value):
                    result[name] = value.value
            else:
                result[name] = self._value(value, below, (*path, name))
        return _ABSENT if any(value is _ABSENT for value in result.values()) else result

    def _unique(self, node: yaml.MappingNode, path: Path) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Give the pairs of a mapping, of a key that is there twice the first, which is noted."""
        own = {id(key) for key, _ in node.value}
        found: dict[tuple[str, str], tuple[yaml.ScalarNode, yaml.Node]] = {}
        for key, value in pairs_of(node, self._walk):
            first, _ = found.setdefault((key.tag, key.value), (key, value))
            if first is not key and id(key) in own:
                self._note(line_of(key), (*path, key.value), f"is there twice, first in line {line_of(first)}")
        return list(found.values())

    def _block_class(self, node: yaml.MappingNode, allowed: list[type[Block]], path: Path) -> type[Block] | None:
        """Find the class that `type:` names, or the only one there can be; note a problem and give None otherwise."""
        fields = {key.value: value for key, value in self._unique(node, path)}
        written = fields.get("type")
        if written is None:
            fitting = [one for one in allowed if not is_interface(one)]
            if len(allowed) > 1:
                fitting = [one for one in fitting if fields.keys() <= input_names(one).keys()]
            if len(fitting) == 1:
                return fitting[0]
            known = [one.get_block_type_slug() for one in allowed if not is_interface(one)] or list_block_types()
            self._note(line_of(node), (*path, "type"), f"is missing; one of: {', '.join(known)}")
            return None
        if not isinstance(written, yaml.ScalarNode) or written.tag != STRING_TAG:
            self._note(line_of(written), (*path, "type"), "must be the name of a block type, such as `process`")
            return None
        try:
            return _class_named(written.value, allowed)
        except BlockNotFound as error:
            self._note(line_of(written), (*path, "type"), str(error))
            return None

    def _model(self, node: yaml.MappingNode, model: type[BaseModel], path: Path) -> Any:
        """Read the fields of a block, or of a model inside of one, and make it."""
        problems_before = len(self.problems)
        data, unread = self._fields(node, model, path)
        self._collect_secrets(data, model, path)
        made: Any = _ABSENT
        try:
            made = model.model_validate(data)
        except ValidationError as error:
            self._note_errors(error, path, unread)
        return made if len(self.problems) == problems_before else _ABSENT

    def _fields(self, node: yaml.MappingNode, model: type[BaseModel], path: Path) -> tuple[dict[str, Any], set[str]]:
        """Read the values of a model's fields; also give the names of those that could not be read."""
        names = input_names(model)
        what = f'the block type "{model.get_block_type_slug()}"' if issubclass(model, Block) else model.__name__
        data: dict[str, Any] = {}
        for key, value in self._unique(node, path):
            if key.value == "type" and issubclass(model, Block) and not _takes_type(model):
                continue
            if key.value in names:
                data[key.value] = self._value(value, names[key.value], (*path, key.value))
                continue
            close = get_close_matches(key.value, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            self._note(line_of(key), (*path, key.value), f"is not a field of {what}{hint}")
        unread = {name for name, value in data.items() if value is _ABSENT}
        return {name: value for name, value in data.items() if name not in unread}, unread

    def _collect_secrets(self, data: dict[str, Any], model: type[BaseModel], path: Path) -> None:
        """Remember the texts of secrets, which no message may show; one that is only a mask is noted."""
        secret_paths = SecretPaths(model)
        for below, value in _leaves(data, ()):
            if below not in secret_paths or value is None:
                continue
            if len(str(value)) >= _SHORTEST_SECRET:
                self._secrets.add(str(value))
            if _MASK_OF_ANYONE.fullmatch(str(value)):
                self._note(
                    self._line((*path, *below)),
                    (*path, *below),
                    "is only the mask of a secret; write the secret itself, or leave it out and set it in Python",
                )

    def _note_errors(self, error: ValidationError, path: Path, unread: set[str]) -> None:
        """Note pydantic's errors: several of one value, from the members of a union, as one problem."""
        texts: dict[Path, list[str]] = {}
        # The input is not even looked at: it may be a secret.
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            where = self._located(path, detail["loc"])
            if detail["type"] == "missing":
                if len(detail["loc"]) == 1 and detail["loc"][0] in unread:
                    continue
                where, text = (*where, detail["loc"][-1]), "is missing"
            else:
                text = (
                    detail["msg"] if detail["type"] in _PYDANTICS_OWN_ERRORS else self._without_secrets(detail["msg"])
                )
            known = texts.setdefault(where, [])
            if text not in known:
                known.append(text)
        for where, messages in texts.items():
            self._note(self._line(where), where, " or: ".join(messages))

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def _located(self, path: Path, location: tuple[int | str, ...]) -> Path:
        """Follow pydantic's location as far as the file has it, without the names of union members in between."""
        for step in location:
            if (*path, step) in self._lines:
                path = (*path, step)
        return path

    def _line(self, path: Path) -> int:
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]


def _class_named(name: str, allowed: list[type[Block]]) -> type[Block]:
    for one in allowed:
        if name in _type_names(one) and not is_interface(one):
            return one
    found = get_block_class(name)
    if not issubclass(found, tuple(allowed)):
        wanted = " or ".join(one.get_block_type_slug() for one in allowed)
        raise BlockNotFound(f'is "{name}", where {wanted} is expected')
    return found


def _takes_type(model: type[BaseModel]) -> bool:
    """Say whether a block has a field `type` that must be given; one with a default has the right value anyway."""
    field = model.model_fields.get("type")
    return field is not None and field.is_required()


def _type_names(block_class: type[Block]) -> set[Any]:
    """Give what `type:` may be for a class: its slug, or the value of its field `type`."""
    field = block_class.model_fields.get("type")
    default = {field.default} if field is not None and isinstance(field.default, str) else set()
    return {block_class.get_block_type_slug(), *default}


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _leaves(value: Any, path: Path) -> list[tuple[Path, Any]]:
    if isinstance(value, dict):
        return [leaf for key, below in value.items() for leaf in _leaves(below, (*path, key))]
    if isinstance(value, list):
        return [leaf for number, below in enumerate(value) for leaf in _leaves(below, (*path, number))]
    return [(path, value)]
