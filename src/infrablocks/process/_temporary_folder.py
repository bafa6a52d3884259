"""The folders that runs without a `working_dir` work in, and what removes those that lost their agent."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from infrablocks.exceptions import InfrastructureError

_PREFIX = "infrablocks-"


def make_temporary_folder() -> str:
    """Make a folder for one run.

    Raises:
        OSError: It cannot be made.
    """
    return tempfile.mkdtemp(prefix=_PREFIX)


def remove_folder(path: str | os.PathLike[str]) -> None:
    """Remove a folder and all in it; an empty one also where no file descriptor is left.

    Raises:
        OSError: It cannot be removed.
    """
    try:
        os.rmdir(path)  # noqa: PTH106 (most are empty, and to find that out costs more than this)
    except OSError:
        shutil.rmtree(path)


def remove_temporary_folder(path: str | None) -> None:
    """Remove a folder that a record names. What cannot be one that was made above is left alone.

    Args:
        path: The folder; None: the run has none.

    Raises:
        InfrastructureError: It cannot be removed.
    """
    if path is None:
        return
    try:
        if _may_be_ours(path):
            shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"The temporary folder {path} of a run could not be removed: {error}") from error


def _may_be_ours(path: str) -> bool:
    """Say whether it is a folder of this user with such a name. A link is none: what it leads to may be anybody's."""
    folder = Path(path)
    if not (folder.is_absolute() and folder.name.startswith(_PREFIX)):
        return False
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
