"""The user's home directory, and the folder in which the library keeps its files."""

from __future__ import annotations

import os

NO_HOME = "/nonexistent"
"""Stands for the home directory of a user who has none: that name has it in Debian's list of users, too."""


def home_directory() -> str:
    """Return the user's home directory; `NO_HOME` if HOME is not set and the system does not know the user."""
    home = os.path.expanduser("~")  # noqa: PTH111 - the method of Path raises, and takes longer
    return NO_HOME if home == "~" else home


def expand_home(path: str) -> str:
    """Put a home directory in the place of a leading `~`."""
    if path == "~" or path.startswith("~/"):
        path = home_directory() + path[1:]
    return os.path.expanduser(path)  # noqa: PTH111 - as above


def library_home() -> str:
    """Return the folder of run records and saved blocks: INFRABLOCKS_HOME, else `~/.infrablocks`."""
    # Every run comes by here: a Path would take longer.
    return os.path.abspath(expand_home(os.environ.get("INFRABLOCKS_HOME") or "~/.infrablocks"))  # noqa: PTH100
