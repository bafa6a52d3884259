"""Which values of a document the Prefect API masks for those who may not see secrets.

Its server goes by the `secret_fields` of the schema and by nothing else. It looks into mappings, but not into lists,
and where a mapping has a key "*", it masks only that key in place of all.
https://github.com/PrefectHQ/prefect/blob/3.8.8/src/prefect/server/schemas/core.py (`BlockDocument.from_orm_model`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from infrablocks.blocks.masking import Path
    from infrablocks.blocks.stores.store import BlockDocument

Keys = tuple[str, ...]


def secret_fields_of(document: BlockDocument, declared: Iterable[str]) -> list[str]:
    """Give the `secret_fields` with which the server masks every secret of a document.

    Args:
        document: The document.
        declared: What the schema of its type says. A field is added to it if the server would show a secret in there:
            all of the field is then masked.
    """
    fields = list(declared)
    leaves = dict(_leaves(document.data, ()))
    masked = _masked(leaves, fields)
    shown = [
        place.path
        for place in document.secrets or ()
        if any(_is_part_of(leaf, place.path) for leaf in leaves.keys() - masked)
    ]
    for name in dict.fromkeys(str(path[0]) for path in shown):
        fields += _whole_field(name, leaves)
    return list(dict.fromkeys(fields))


def _masked(leaves: Mapping[Keys, Any], secret_fields: Iterable[str]) -> set[Keys]:
    """Give the leaves that the server masks."""
    masked: set[Keys] = set()
    for field in secret_fields:
        keys = tuple(field.split("."))
        if leaves.get(keys) is not None:
            masked.add(keys)
        elif "*" in keys:
            above = keys[: keys.index("*")]
            masked |= {leaf for leaf in leaves if leaf[: len(above)] == above}
    return masked


def _whole_field(name: str, leaves: Collection[Keys]) -> list[str]:
    """Give the `secret_fields` that mask a field, whatever it holds; all fields if its name cannot be written there."""
    fields = [] if "." in name else [name]
    below = ["*"] if "." in name else [name, "*"]
    while tuple(below) in leaves:
        below.append("*")
    return [*fields, ".".join(below)]


def _is_part_of(leaf: Keys, path: Path) -> bool:
    """Say whether a leaf is, or holds, a part of the value at a path."""
    numbers = [place for place, step in enumerate(path) if isinstance(step, int)]
    keys = path[: numbers[0]] if numbers else path
    return leaf[: len(keys)] == keys


def _leaves(data: Mapping[str, Any], above: Keys) -> Iterator[tuple[Keys, Any]]:
    """Give what is no mapping, or an empty one, at any depth of mappings."""
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value
