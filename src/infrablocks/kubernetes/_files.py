"""Manifests and patches in files, YAML or JSON, with every problem at its line."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import yaml

from infrablocks.blocks.yaml_files import text_in_file
from infrablocks.blocks.yaml_nodes import NodeError, Walk, compose, line_of, pairs_of, scalar_value
from infrablocks.exceptions import InvalidManifest
from infrablocks.kubernetes._customizations import InvalidOperation, patch_of

if TYPE_CHECKING:
    from jsonpatch import JsonPatch

    from infrablocks.kubernetes._base_manifest import KubernetesManifest

_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"
_NUMBER_TAGS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_BINARY_TAG = "tag:yaml.org,2002:binary"

# A character above U+FFFF as JSON may write it; or another escaped character, to begin behind it.
_SURROGATES = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_LENGTH_OF_PAIR = 12


def job_from_file(path: str | os.PathLike[str]) -> KubernetesManifest:
    """Read a manifest; see `KubernetesJob.job_from_file`."""
    name = os.fspath(path)
    node = _read(name)
    if not isinstance(node, yaml.MappingNode):
        raise InvalidManifest(f"{name}:{line_of(node)}: the manifest of a Job is a mapping, not {_kind(node)}")
    manifest: KubernetesManifest = _value_in(name, node)
    return manifest


def customize_from_file(path: str | os.PathLike[str]) -> JsonPatch:
    """Read a JSON patch; see `KubernetesJob.customize_from_file`."""
    name = os.fspath(path)
    node = _read(name)
    if not isinstance(node, yaml.SequenceNode):
        raise InvalidManifest(f"{name}:{line_of(node)}: a JSON patch is a list of operations, not {_kind(node)}")
    try:
        return patch_of(_value_in(name, node))
    except InvalidOperation as error:
        raise InvalidManifest(f"{name}:{line_of(node.value[error.number])}: {error}") from None


def _read(name: str) -> yaml.Node:
    text = text_in_file(name, InvalidManifest, too_large="which Kubernetes would not take")
    try:
        node = compose(_without_tabs(name, text))
    except NodeError as error:
        raise InvalidManifest(f"{name}:{error.line}: {error.problem}") from None
    if node is None:
        raise InvalidManifest(f"{name}:1: is empty")
    return node


def _without_tabs(name: str, text: str) -> str:
    """Make YAML of JSON, which is such but for tabs between its values and pairs of escaped surrogates."""
    if not name.lower().endswith(".json"):
        return text
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidManifest(f"{name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise InvalidManifest(f"{name}:1: is nested too deeply") from None
    return _joined_surrogates(text.replace("\t", " "))


def _joined_surrogates(text: str) -> str:
    def joined(match: re.Match[str]) -> str:
        return str(json.loads(f'"{match[0]}"')) if len(match[0]) == _LENGTH_OF_PAIR else match[0]

    return _SURROGATES.sub(joined, text)


def _value_in(name: str, node: yaml.Node) -> Any:
    try:
        return _value(node, Walk())
    except NodeError as error:
        raise InvalidManifest(f"{name}:{error.line}: {error.problem}") from None


def _value(node: yaml.Node, walk: Walk) -> Any:
    with walk.inside(node):
        if isinstance(node, yaml.MappingNode):
            return _mapping(node, walk)
        if isinstance(node, yaml.SequenceNode):
            return [_value(item, walk) for item in node.value]
        if node.tag == _BINARY_TAG:
            raise NodeError(line_of(node), "is binary, which JSON does not have; put the base64 text in quotes")
        return scalar_value(node) if _is_of_json(node) else node.value


def _is_of_json(node: yaml.Node) -> bool:
    """Say whether Kubernetes takes a value as YAML does, and not for text: dates, and 22:22 for a number."""
    return node.tag != _TIMESTAMP_TAG and not (node.tag in _NUMBER_TAGS and ":" in node.value)


def _mapping(node: yaml.MappingNode, walk: Walk) -> dict[str, Any]:
    own = {id(key) for key, _ in node.value}
    lines: dict[str, int] = {}
    result: dict[str, Any] = {}
    for key, value in pairs_of(node, walk):
        # `on: …` and `1: …` name keys, as for kubectl.
        name = key.value
        if name not in lines:
            lines[name] = line_of(key)
            result[name] = _value(value, walk)
        elif id(key) in own:
            raise NodeError(line_of(key), f"{name!r} is there twice, first in line {lines[name]}")
    return result


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a plain value"
