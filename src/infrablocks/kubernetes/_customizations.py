"""JSON patches (RFC 6902) of a manifest. No message of an error shows a value: one of them may be a secret."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, Any

from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from infrablocks.exceptions import InvalidManifest
from infrablocks.kubernetes._plain_json import below_pointer, plain_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infrablocks.kubernetes._base_manifest import KubernetesManifest

_OPERANDS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}

# Which of the variables has this number depends on the Prefect settings in force when the Job is made.
_NUMBERED_VARIABLE = re.compile(r"/spec/template/spec/containers/[0-9]+/env/[0-9]+(/.*)?", re.DOTALL)
_PLACE_IN_LIST = re.compile(r"-|[0-9]+")


class InvalidOperation(ValueError):
    """An operation of a patch is not one.

    Attributes:
        number: Which one, counted from 0.
    """

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"operation {number}: {problem}")
        self.number = number


def patch_of(operations: object) -> JsonPatch:
    """Make a patch of a list of operations, which are copied and checked.

    Args:
        operations: The list.

    Raises:
        InvalidOperation: One of them is not one.
        ValueError: It is no list.
    """
    if not isinstance(operations, list | tuple):
        raise ValueError(f"a JSON patch is a list of operations, not {_kind(operations)}")  # noqa: TRY004 (pydantic's way)
    for number, operation in enumerate(operations):
        _check_operation(number, operation)
    return JsonPatch([_plain(number, operation) for number, operation in enumerate(operations)])


def _plain(number: int, operation: dict[str, Any]) -> dict[str, Any]:
    try:
        result: dict[str, Any] = plain_json(operation)
    except ValueError as error:
        raise InvalidOperation(number, str(error)) from None
    return result


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def _check_operation(number: int, operation: object) -> None:
    if not isinstance(operation, dict):
        raise InvalidOperation(number, f"it is a mapping with op and path, not {_kind(operation)}")
    op = operation.get("op")
    if not isinstance(op, str) or op not in _OPERANDS:
        raise InvalidOperation(
            number, f"{op!r} is not an op; one of: {', '.join(_OPERANDS)}" if "op" in operation else "op is missing"
        )
    for operand in _OPERANDS[op]:
        if operand not in operation:
            raise InvalidOperation(number, f"{operand} is missing, which {op!r} needs")
        if operand != "value":
            _check_pointer(number, operand, operation[operand])


def _check_pointer(number: int, operand: str, pointer: object) -> None:
    if not isinstance(pointer, str):
        raise InvalidOperation(number, f"{operand} must be text, not {_kind(pointer)}")
    try:
        JsonPointer(pointer)
    except JsonPointerException:
        raise InvalidOperation(
            number,
            f"the {operand} {pointer!r} is no JSON pointer, such as '/metadata/annotations/a~1b' for the key 'a/b'",
        ) from None


def _validated(value: object) -> JsonPatch:
    if isinstance(value, JsonPatch):
        value = value.patch
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"it is not valid JSON: {error}") from None
    return patch_of(value)


Customizations = Annotated[
    InstanceOf[JsonPatch],
    BeforeValidator(_validated),
    PlainSerializer(lambda patch: deepcopy(patch.patch), return_type=list[dict[str, Any]]),
    WithJsonSchema({"type": "array", "items": {"type": "object"}}),
]
"""A JSON patch; taken as a list of operations and as JSON text too, and written as a list."""


def customized(manifest: KubernetesManifest, patch: JsonPatch, *, before_it_is_run: bool = False) -> Any:
    """Apply a patch to a manifest. The parents of what is added are made where these are mappings.

    Args:
        manifest: Plain JSON; it may be changed.
        patch: The operations.
        before_it_is_run: Stop before an operation whose result only the run can tell.

    Returns:
        The result, of any kind: a patch can replace everything.

    Raises:
        InvalidManifest: An operation does not fit; names its number, op and path.
    """
    document: Any = manifest
    for number, operation in enumerate(deepcopy(patch.patch)):
        pointers = [operation[name] for name in ("from", "path") if name in operation]
        if before_it_is_run and any(_NUMBERED_VARIABLE.fullmatch(pointer) for pointer in pointers):
            return document
        what = f"customizations: operation {number} ({operation['op']} {' to '.join(pointers)})"
        if operation["op"] == "add":
            _make_parents(document, JsonPointer(operation["path"]).parts)
        try:
            document = JsonPatch([operation]).apply(document, in_place=True)
        except JsonPatchTestFailed:
            missing = _missing_part(document, JsonPointer(operation["path"]).parts)
            problem = f"{missing} is missing" if missing else "the value there is another one"
            raise InvalidManifest(f"{what}: the test failed: {problem}") from None
        except (JsonPatchException, JsonPointerException, TypeError, ValueError, LookupError, AttributeError):
            raise InvalidManifest(f"{what} does not fit: {_misfit(document, operation)}") from None
    return document


def _make_parents(document: Any, parts: Sequence[str]) -> None:
    """Make the mappings that a value is added into, unless one of them would have to be a list."""
    for number, name in enumerate(parts[:-1]):
        if not isinstance(document, dict):
            document = _below(document, name)
            continue
        if document.get(name) is None:
            if any(_PLACE_IN_LIST.fullmatch(below) for below in parts[number + 1 :]):
                return
            document[name] = {}
        document = document[name]


def _misfit(document: Any, operation: dict[str, Any]) -> str:
    """Say which part of a path does not exist, or that what is there is of another kind."""
    for name, until in (("from", None), ("path", -1 if operation["op"] in {"add", "move", "copy"} else None)):
        missing = _missing_part(document, JsonPointer(operation[name]).parts[:until]) if name in operation else None
        if missing:
            return f"{missing} is missing"
    return "there is no such place in what is there"


def _missing_part(document: Any, parts: Sequence[str]) -> str | None:
    pointer = ""
    for name in parts:
        pointer = below_pointer(pointer, name)
        document = _below(document, name)
        if document is None:
            return pointer
    return None


def _below(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return None
