"""Labels as the API takes them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST_NAME = 63
_LONGEST_PREFIX = 253
_HASH_DIGITS = 8

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX_PART = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

OF_THE_CLUSTER = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)
"""Labels of a pod that the API sets by itself, and takes no other value of."""


class _Fitted(NamedTuple):
    """A text that was made valid, and whether it got a hash for that."""

    text: str
    hashed: bool


def kubernetes_labels(labels: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Make labels valid; those that are stay as they are, letter case included.

    Args:
        labels: Any texts.

    Returns:
        As many labels as there were, and what is to be told when one of them had to get a hash.
    """
    keys = _distinct_keys(labels)
    values = {key: _fitted_name(value) if value else _Fitted("", hashed=False) for key, value in labels.items()}
    hashed = [f"the key {key!r} as {fitted.text!r}" for key, fitted in keys.items() if fitted.hashed]
    hashed += [f"the value of {key!r} as {fitted.text!r}" for key, fitted in values.items() if fitted.hashed]
    note = f"Labels are not sent as they are, which Kubernetes would not take: {', '.join(hashed)}." if hashed else None
    return {keys[key].text: values[key].text for key in labels}, note


def _distinct_keys(keys: Iterable[str]) -> dict[str, _Fitted]:
    """Make keys valid without making two of them one; a key that is valid is not given to another one."""
    result: dict[str, _Fitted] = {}
    taken: set[str] = set()
    for key in sorted(keys, key=lambda key: not _is_key(key)):
        fitted = _fitted_key(key)
        digits = _HASH_DIGITS
        while fitted.text in taken:
            fitted = _fitted_key(key, digits, always_hash=True)
            digits += 1
        taken.add(fitted.text)
        result[key] = fitted
    return result


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or _is_prefix(prefix))


def _is_prefix(prefix: str) -> bool:
    return len(prefix) <= _LONGEST_PREFIX and all(_PREFIX_PART.fullmatch(part) for part in prefix.split("."))


def _fitted_key(key: str, digits: int = _HASH_DIGITS, *, always_hash: bool = False) -> _Fitted:
    prefix, slash, name = key.partition("/")
    if not slash:
        prefix, name = "", key
    fitted_name = _fitted_name(name, digits, hash_of=key if always_hash else None)
    if not prefix:
        return fitted_name
    fitted_prefix = _fitted_prefix(prefix)
    return _Fitted(f"{fitted_prefix.text}/{fitted_name.text}", fitted_prefix.hashed or fitted_name.hashed)


def _fitted_name(text: str, digits: int = _HASH_DIGITS, *, hash_of: str | None = None) -> _Fitted:
    if hash_of is None and _NAME.fullmatch(text):
        return _Fitted(text, hashed=False)
    slug = text if _NAME.fullmatch(text) else _slug(text, r"[^a-zA-Z0-9_.-]+").strip("-_.")
    if hash_of is None and 0 < len(slug) <= _LONGEST_NAME:
        return _Fitted(slug, hashed=False)
    return _with_hash(slug, text if hash_of is None else hash_of, _LONGEST_NAME, digits)


def _fitted_prefix(prefix: str) -> _Fitted:
    if _is_prefix(prefix):
        return _Fitted(prefix, hashed=False)
    parts = (part.strip("-") for part in _slug(prefix, r"[^a-zA-Z0-9.-]+").lower().split("."))
    slug = ".".join(part for part in parts if part)
    if 0 < len(slug) <= _LONGEST_PREFIX:
        return _Fitted(slug, hashed=False)
    return _with_hash(slug, prefix, _LONGEST_PREFIX, _HASH_DIGITS)


def _with_hash(slug: str, text: str, longest: int, digits: int) -> _Fitted:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
    cut = slug[: longest - 1 - digits].rstrip("-_.")
    return _Fitted(f"{cut}-{digest}" if cut else digest, hashed=True)


def _slug(text: str, other_characters: str) -> str:
    from slugify import slugify  # noqa: PLC0415 - it costs import time

    slug: str = slugify(
        text.encode(errors="ignore").decode(),
        entities=False,
        decimal=False,
        hexadecimal=False,
        lowercase=False,
        regex_pattern=other_characters,
    )
    return slug
