"""Slugs of block types: lower case, digits and single dashes."""

from __future__ import annotations

import re

# For names of only these characters the rule is short, and the same as python-slugify's (a test compares the two).
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 _-]*")
_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")


def slug_of(name: str) -> str:
    """Give the slug of a block type's name.

    Args:
        name: The name, for example "Docker Registry".

    Returns:
        The slug, for example "docker-registry"; empty when the name has neither a letter nor a digit.
    """
    if _PLAIN_NAME.fullmatch(name):
        return _BETWEEN_WORDS.sub("-", name.lower()).strip("-")
    # Every block class gets its slug when it is defined; only a name like "Café" is worth this import.
    from slugify import slugify  # noqa: PLC0415

    return slugify(name)
