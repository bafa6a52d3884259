"""Volumes of a container: `source:target[:mode]`."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of each group a mode may have one word, as in Docker's own grammar.
_ACCESS = frozenset({"ro", "rw"})
_LABEL = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"shared", "slave", "private", "rshared", "rslave", "rprivate"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_COPY = frozenset({"nocopy"})
_GROUPS = (_ACCESS, _LABEL, _PROPAGATION, _CONSISTENCY, _COPY)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
# No volume has a name of one letter, so that nothing else can look like this.
_DRIVE = re.compile(r"(?P<source>[a-zA-Z]:[\\/][^:]*)(?::(?P<rest>.*))?", re.DOTALL)
_RELATIVE = re.compile(r"\.{1,2}(?:/.*)?|~(?:/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Volume:
    """One volume.

    Attributes:
        source: Name of a volume, or a path of the engine's machine.
        target: Path in the container.
        mode: Words, between commas; None for the engine's default.
    """

    source: str
    target: str
    mode: str | None

    @property
    def has_name(self) -> bool:
        """Whether the source is the name of a volume and no path."""
        return _NAME.fullmatch(self.source) is not None

    def bind(self, folder: str, home: str) -> str:
        """Write the volume for an engine, which takes no relative paths.

        Args:
            folder: What `./x` is relative to.
            home: What `~/x` is relative to.
        """
        source = self.source
        if source.startswith("~"):
            source = os.path.normpath(home + source[1:])
        elif _RELATIVE.fullmatch(source):
            source = os.path.normpath(f"{folder}/{source}")
        return ":".join([source, self.target, *([self.mode] if self.mode else [])])


def parse_volumes(texts: Iterable[str]) -> list[Volume]:
    """Parse volumes and check that no two have the same target.

    Raises:
        ValueError: The message names the volume and what is wrong with it.
    """
    volumes = []
    taken: dict[str, str] = {}
    for text in texts:
        volume = parse_volume(text)
        target = posixpath.normpath(volume.target)
        if target in taken:
            raise ValueError(f"{text!r} has the same target as {taken[target]!r}")
        taken[target] = text
        volumes.append(volume)
    return volumes


def parse_volume(text: str) -> Volume:
    """Parse one volume.

    Raises:
        ValueError: The message names the volume and what is wrong with it.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a volume `source:target[:mode]`: {error}") from None


def _parse(text: str) -> Volume:
    drive = _DRIVE.fullmatch(text)
    if drive and drive["rest"] is not None:
        source, others = drive["source"], drive["rest"].split(":")
    else:
        source, *others = text.split(":")
    match others:
        case [target]:
            volume = Volume(source, target, None)
        case [target, mode]:
            volume = Volume(source, target, mode)
        case []:
            raise ValueError("it has no ':'")
        case _:
            raise ValueError("it has too many ':'")
    _check_source(volume)
    _check_target(volume.target)
    _check_mode(volume)
    return volume


def _check_source(volume: Volume) -> None:
    source = volume.source
    if not source:
        raise ValueError("it has no source")
    if "\0" in source:
        raise ValueError("it holds a NUL byte")
    if source.startswith("/") or _DRIVE.fullmatch(source) or _RELATIVE.fullmatch(source) or volume.has_name:
        return
    if "/" in source or "\\" in source:
        raise ValueError(f"the source {source!r} is relative; begin it with '/', './' or '~/'")
    raise ValueError(
        f"the source {source!r} is neither a path nor the name of a volume, which has two or more letters, digits, "
        "'_', '.' and '-' and begins with a letter or digit"
    )


def _check_target(target: str) -> None:
    if not target.startswith("/"):
        raise ValueError(f"the target {target!r} is not absolute" if target else "it has no target")
    if posixpath.normpath(target).strip("/") == "":
        raise ValueError("the target must not be '/'")
    if "\0" in target:
        raise ValueError("it holds a NUL byte")


def _check_mode(volume: Volume) -> None:
    if volume.mode is None:
        return
    words = volume.mode.split(",")
    for word in words:
        if not any(word in group for group in _GROUPS):
            known = ", ".join(sorted(frozenset().union(*_GROUPS), key=str.lower))
            raise ValueError(f"the mode has {word!r}; it may have {known}")
    used = Counter(group for word in words for group in _GROUPS if word in group)
    for group, count in used.items():
        if count > 1:
            raise ValueError(f"the mode {volume.mode!r} has more than one of {', '.join(sorted(group))}")
    if volume.has_name and used[_PROPAGATION]:
        raise ValueError(f"the mode {volume.mode!r} has a propagation, which only a path can have")
    if not volume.has_name and used[_COPY]:
        raise ValueError(f"the mode {volume.mode!r} has 'nocopy', which only a named volume can have")
