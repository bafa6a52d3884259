"""The folders of detached processes that ended long ago are removed."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import time
from contextlib import suppress

from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.process._process_table import boot_id, pid_namespace
from infrablocks.process._record import runs_folder
from infrablocks.process._run_folder import NEW, RunFolder
from infrablocks.process._temporary_folder import remove_temporary_folder

logger = logging.getLogger("infrablocks.process")

KEEP_SECONDS = 7 * 24 * 3600.0
"""How long the result of a process is kept that nobody has seen end."""
KEEP_SEEN_SECONDS = 3600.0
"""How long the result of a process is kept that somebody has seen end."""
_TIDY_SECONDS = 60.0

_tidied_at = -_TIDY_SECONDS


def remove_old_folders() -> None:
    """Remove the folders of runs that ended long ago; at most once a minute, as there may be many."""
    global _tidied_at  # noqa: PLW0603 (two threads that do this at once do no harm)
    if time.monotonic() - _tidied_at < _TIDY_SECONDS:
        return
    _tidied_at = time.monotonic()
    with suppress(FileNotFoundError), os.scandir(runs_folder()) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                try:
                    _remove_if_old(entry)
                except (OSError, InfrastructureError) as error:
                    logger.warning("The folder %s of an old run could not be removed: %s", entry.path, error)


def _remove_if_old(entry: os.DirEntry[str]) -> None:
    now = time.time()
    if now - entry.stat().st_mtime < KEEP_SEEN_SECONDS:  # the folder changes last when the end is written, or seen
        return
    folder = RunFolder(entry.path)
    try:
        names = os.listdir(folder.descriptor)  # noqa: PTH208 (not a path)
        keep = KEEP_SEEN_SECONDS if "seen" in names or entry.name.startswith(NEW) else KEEP_SECONDS
        if now - entry.stat().st_mtime < keep:
            return
        if "end.json" not in names:
            connection = folder.connect()
            if connection is not None:
                connection.close()
                return
            _remove_temporary_folder(folder)
        shutil.rmtree(entry.path)
    finally:
        folder.close()


def _remove_temporary_folder(folder: RunFolder) -> None:
    """Remove what the supervisor of a run would have removed that is gone, unless the process may still be in it."""
    try:
        process = folder.record().process
    except InfrastructureNotAvailable:
        return
    if process.host != socket.gethostname():
        return
    if process.boot_id == boot_id() and (process.pid_namespace != pid_namespace() or process.is_running()):
        return
    remove_temporary_folder(process.temporary_dir)
