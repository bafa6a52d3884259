"""Where the engines keep things: built programs in a cache that lasts, all else in a state directory that does not."""

import os
from pathlib import Path

CACHE_VARIABLE = "INFRABLOCKS_ENGINES_CACHE"
STATE_VARIABLE = "INFRABLOCKS_ENGINES_STATE"

# A unix socket's path may have 107 characters; containerd adds about 35 to what it is given.
_LONGEST_STATE_PATH = 60


def cache_directory() -> Path:
    """Return the directory of built programs, outside any checkout so that all checkouts share one build."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "infrablocks-engines").resolve()


def state_directory() -> Path:
    """Return the directory of sockets, logs, pid files and data of the running engines.

    Raises:
        ValueError: The path is too long for the unix sockets below it.
    """
    path = Path(os.environ.get(STATE_VARIABLE) or "/tmp/infrablocks-engines").resolve()
    if len(str(path)) > _LONGEST_STATE_PATH:
        raise ValueError(f"{STATE_VARIABLE} may have {_LONGEST_STATE_PATH} characters, because of unix sockets: {path}")
    return path
