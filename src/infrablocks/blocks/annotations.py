"""What the annotations of a model's fields say: nested models, block classes, secrets, text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

SECRET_TYPES = (SecretStr, SecretBytes, Secret)

# In plain data, no value of these types is a mapping.
_TYPES_WITHOUT_KEYS = (
    *(str, bytes, int, float, NoneType, Enum, PurePath, date, time, timedelta),
    *(list, tuple, AbstractSet, SecretStr, SecretBytes),
)


def alternatives(annotation: Any) -> Iterator[Any]:
    """Give the types that a value may have: the members of unions, without `Annotated` and names for types."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin is Union or origin is UnionType:
        for member in get_args(annotation):
            yield from alternatives(member)
    elif hasattr(named := origin or annotation, "__value__"):  # a TypeAliasType, which two modules have
        yield from alternatives(named.__value__)
    else:
        yield annotation


def class_of(annotation: Any) -> type[Any] | None:
    """Give the class of one alternative (`dict` for `dict[str, int]`), or None when it is no class."""
    origin = get_origin(annotation) or annotation
    return origin if isinstance(origin, type) else None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Give the model classes that a value may be an instance of, without those inside of its lists and mappings."""
    classes = (class_of(alternative) for alternative in alternatives(annotation))
    return [one for one in classes if one is not None and issubclass(one, BaseModel)]


def item_annotation(annotation: Any) -> Any:
    """Give the annotation of the items of a list or the values of a mapping; None when nothing is known of them."""
    items: list[Any] = []
    for alternative in alternatives(annotation):
        kind = class_of(alternative)
        arguments = [argument for argument in get_args(alternative) if argument is not Ellipsis]
        if kind is not None and issubclass(kind, Iterable):
            items += arguments[1:] if issubclass(kind, Mapping) else arguments
    return Union[tuple(items)] if items else None  # noqa: UP007 - the members are known only at run time


def is_mapping_of_text(annotation: Any) -> bool:
    """Say whether this is a mapping whose values are text (or secret text, or None) and nothing else."""
    mappings = [one for one in alternatives(annotation) if issubclass(class_of(one) or NoneType, Mapping)]
    values = [set(alternatives(value)) for one in mappings for value in get_args(one)[1:]]
    return bool(values) and all(value <= {str, SecretStr, NoneType} and value != {NoneType} for value in values)


def has_text_keys(annotation: Any) -> bool:
    """Say whether the keys of a mapping may be text, as they are where nothing is known of them."""
    mappings = [one for one in alternatives(annotation) if issubclass(class_of(one) or NoneType, Mapping)]
    keys = [key for one in mappings if get_args(one) for key in alternatives(get_args(one)[0])]
    return not keys or str in keys or Any in keys


def secret_paths(model: type[BaseModel], inside: tuple[Any, ...] = ()) -> Iterator[str]:
    """Give the dotted paths of a model's secret fields, by their types or by the word of the model (`_holds_secret`).

    A field stands there under each name that the model takes it by, `*` for any key of a mapping. A mapping that is
    secret as a whole has two paths, its own and one for what is below it: Prefect's server looks for the second.

    Args:
        model: The model.
        inside: Models and types that this one is nested in; one that is met again ends the search.
    """
    holds_secret = getattr(model, "_holds_secret", None)
    for name, field in model.model_fields.items():
        for key in _names_of_input(model, name):
            if holds_secret is not None and holds_secret((name,)):
                yield from _paths_of_secret(field.annotation, key)
            else:
                yield from _secret_paths_of(field.annotation, key, (*inside, model))


def _secret_paths_of(annotation: Any, path: str, inside: tuple[Any, ...]) -> Iterator[str]:
    for alternative in alternatives(annotation):
        kind = class_of(alternative)
        if kind is None or kind is type or alternative in inside:
            continue
        if issubclass(kind, SECRET_TYPES):
            yield from _paths_of_secret(_type_inside(alternative), path)
        elif issubclass(kind, BaseModel):
            yield from (f"{path}.{nested}" for nested in secret_paths(kind, inside))
        elif issubclass(kind, Mapping):
            for value in get_args(alternative)[1:]:
                yield from _secret_paths_of(value, f"{path}.*", (*inside, alternative))
        else:
            for item in get_args(alternative):
                yield from _secret_paths_of(item, path, (*inside, alternative))


def _paths_of_secret(annotation: Any, path: str) -> Iterator[str]:
    """Give the paths of a value that is secret as a whole."""
    yield path
    if not all(issubclass(class_of(one) or object, _TYPES_WITHOUT_KEYS) for one in alternatives(annotation)):
        yield f"{path}.*"


def _type_inside(secret: Any) -> Any:
    """Give what a secret type holds: text, or the argument of `Secret[...]`."""
    kind = class_of(secret)
    if kind is None or issubclass(kind, SecretStr | SecretBytes):
        return str
    return next(iter(get_args(secret)), Any)


def nested_models(annotation: Any, inside: tuple[Any, ...] = ()) -> Iterator[type[BaseModel]]:
    """Give the model classes in an annotation, also those in lists and mappings, but not those inside of models."""
    for alternative in alternatives(annotation):
        kind = class_of(alternative)
        if kind is None or kind is type or alternative in inside:
            continue
        if issubclass(kind, BaseModel):
            yield kind
        else:
            for argument in get_args(alternative):
                yield from nested_models(argument, (*inside, alternative))


def reachable_models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Give all models that a model's fields lead to, at any depth."""
    found: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            new = set(nested_models(field.annotation)) - found
            found |= new
            waiting += new
    return found


def input_name(model: type[BaseModel], name: str) -> str:
    """Give the name under which a model takes the value of a field: its alias when it has a plain one."""
    alias = model.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name


def input_names(model: type[BaseModel]) -> dict[str, Any]:
    """Give every name under which a model takes a value, and the annotation of its field."""
    return {key: field.annotation for name, field in model.model_fields.items() for key in _names_of_input(model, name)}


def _names_of_input(model: type[BaseModel], name: str) -> tuple[str, ...]:
    """Give every name under which a model takes the value of a field."""
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    return tuple(dict.fromkeys([input_name(model, name), *([name] if by_name else [])]))
