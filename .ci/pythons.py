"""Where the Pythons of a machine are, for nox and for CI. It needs the standard library alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

UPCOMING = ("3.15",)
"""Pythons that are not supported yet: their tests run where there is one, and their failures only are shown."""

CACHE = "INFRABLOCKS_ENGINES_CACHE"

_PATIENCE = 60.0


def find(version: str) -> Path | None:
    """Return an interpreter of this version, or None if the machine has none.

    Args:
        version: Such as ``3.14``.
    """
    return next(filter(_starts, _candidates(version)), None)


def missing(versions: Sequence[str]) -> list[str]:
    """Return the versions that `find` does not find."""
    return [version for version in versions if find(version) is None]


def offer(versions: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """Put what `find` finds into the search path, and return the versions that are missing.

    Args:
        versions: The versions that nox asks for.
        environment: The variables that nox looks at; changed.
    """
    # pyenv's own `python3.12` works for the versions that this variable names, and for no other.
    ours = [folder.name for version in versions for folder in _folders(_pyenv() / "versions", version)]
    if ours:
        environment.setdefault("PYENV_VERSION", ":".join(ours))
    found = {version: find(version) for version in versions}
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    # At the end, so that no other program is replaced by one that lies beside an interpreter.
    path += dict.fromkeys(str(python.parent) for python in found.values() if python and str(python.parent) not in path)
    environment["PATH"] = os.pathsep.join(path)
    return [version for version, python in found.items() if python is None]


def cache_directory() -> Path:
    """Return the cache of the engines, as tests/engines/paths.py has it."""
    return Path(os.environ.get(CACHE) or _home() / ".cache" / "infrablocks-engines")


def _candidates(version: str) -> Iterator[Path]:
    """Give interpreters in the order in which they are preferred."""
    name = f"python{version}"
    if command := shutil.which(name):
        yield Path(command)
    data = Path(os.environ.get("XDG_DATA_HOME") or _home() / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for folder in (*_folders(_pyenv() / "versions", version), *_folders(uv, f"cpython-{version}")):
        yield folder / "bin" / name
    # Where tests/engines/debian_pythons.py puts them.
    yield from sorted(cache_directory().glob(f"*-{name}-*/usr/bin/{name}"))


def _starts(python: Path) -> bool:
    """Tell whether it works: pyenv's own `python3.12` refuses where it has been told to offer other versions only."""
    if not os.access(python, os.X_OK):
        return False
    try:
        command = [str(python), "-I", "-c", ""]
        return subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):  # such as a loader that is not there, as the cache was moved
        return False


def _folders(parent: Path, prefix: str) -> list[Path]:
    """Return the folders of a version, the newest first; other builds of it, such as 3.14.0t, are left out."""
    ordinary = re.compile(rf"{re.escape(prefix)}\.\d+((a|b|rc)\d+)?(-[^+]*)?")
    found = [folder for folder in parent.glob(f"{prefix}.*") if ordinary.fullmatch(folder.name)]
    return sorted(found, key=_numbers, reverse=True)


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or _home() / ".pyenv")


def _home() -> Path:
    """Return the user's directory; without one a path that does not exist."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111 (the method raises where there is none)
