"""`--set field=value` and `--env NAME=VALUE`: changes to the fields of a block before it is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from infrablocks.blocks.annotations import is_mapping_of_text, models_in
from infrablocks.cli.errors import WrongArguments

if TYPE_CHECKING:
    from collections.abc import Iterable


def set_fields(values: dict[str, Any], model: type[BaseModel], assignments: Iterable[str]) -> None:
    """Change fields as `--set` says.

    Args:
        values: The values of the block's fields; changed.
        model: The block's class.
        assignments: `field=value`, the value in YAML. `field.key` is a key of a mapping, or a field of a nested block.

    Raises:
        WrongArguments: There is no such field, or the value is not YAML. The message does not show the value.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise WrongArguments(f"--set {path}: give a value, --set {path}=VALUE")
        _set(values, path, _yaml(path, text), model, path)


def _yaml(path: str, text: str) -> object:
    import yaml  # noqa: PLC0415 (its import takes long, and most calls have no --set)

    from infrablocks.blocks.yaml_nodes import LOAD_ERRORS  # noqa: PLC0415 (as above)

    try:
        return yaml.safe_load(text)
    except LOAD_ERRORS:
        raise WrongArguments(f"--set {path}: the value is not YAML; if it is text, quote it: '\"…\"'") from None


def _set(values: dict[str, Any], path: str, value: object, model: type[BaseModel] | None, whole: str) -> None:
    """Set one value in a mapping of keys, or of a model's fields."""
    name, dot, rest = path.partition(".")
    annotation = None
    if model is not None:
        field = model.model_fields.get(name)
        if field is None:
            raise WrongArguments(_unknown_field(name, model, whole))
        annotation = field.annotation
    if not dot:
        values[name] = value
        return
    inner = _as_dict(values.get(name), whole, name)
    if is_mapping_of_text(annotation):
        inner[rest] = value  # keys of labels have dots in them
    else:
        models = models_in(annotation)
        _set(inner, rest, value, models[0] if len(models) == 1 else None, whole)
    values[name] = inner


def _as_dict(value: object, whole: str, name: str) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case BaseModel():
            return given_fields(value)
        case Mapping():
            return dict(value)
        case _:
            raise WrongArguments(f"--set {whole}: {name} has no keys, it is a {type(value).__name__}")


def given_fields(model: BaseModel) -> dict[str, Any]:
    """Give the fields of a model that were given when it was made, not those that have their defaults."""
    return {name: getattr(model, name) for name in model.model_fields_set}


def _unknown_field(name: str, model: type[BaseModel], whole: str) -> str:
    known = sorted(model.model_fields)
    close = get_close_matches(name, known)
    advice = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    return f"--set {whole}: there is no field {name!r}; {advice}"


def environment_of(variables: Iterable[str]) -> dict[str, str]:
    """Read what `--env` sets.

    Args:
        variables: `NAME=VALUE`; or `NAME`, which passes a variable of this process on, if there is one.
    """
    environment = {}
    for variable in variables:
        name, equals, value = variable.partition("=")
        if equals:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment
