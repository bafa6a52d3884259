"""Processes of our runs on this machine that no agent watches."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infrablocks._reaping import LeftWorkload
from infrablocks._results import WorkloadStatus
from infrablocks._threads import cancellation_requested
from infrablocks._watch_records import agent_host, watched_keys
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.process._group import terminate_group
from infrablocks.process._process_table import boot_id, pid_namespace
from infrablocks.process._record import read_record, runs_folder
from infrablocks.process._run_folder import NEW, RunFolder
from infrablocks.process._temporary_folder import remove_temporary_folder
from infrablocks.process._watch_keys import detached_key, started_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.process._record import RunRecord
    from infrablocks.process._run_folder import DetachedEnd, DetachedRecord

logger = logging.getLogger("infrablocks.process")

# Whoever starts a detached process waits for its supervisor for a minute.
_HALF_MADE_SECONDS = 120.0


class LeftProcess(LeftWorkload):
    """A process that has lost its agent. Its exit code is known to nobody.

    Args:
        record: Its record.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self.identifier = str(record.pid)
        self.key = started_key(record.pid, record.start_time)
        self.is_active = _runs(record)
        self.status = WorkloadStatus.RUNNING if self.is_active else WorkloadStatus.UNKNOWN
        self.created_at = None
        with suppress(OSError):
            self.created_at = datetime.fromtimestamp(Path(record.path).stat().st_mtime, UTC)

    def is_there(self) -> bool:
        """Say whether its record is still there."""
        with suppress(InfrastructureError):
            return read_record(self._record.path) == self._record
        return False

    def kill(self, grace_seconds: float) -> None:
        """End its whole group."""
        _kill(self._record, grace_seconds)

    def remove(self) -> None:
        """Remove the folder that was made for it, then its record, which names that."""
        remove_temporary_folder(self._record.temporary_dir)
        self._record.remove()


class LeftDetached(LeftWorkload):
    """A detached process.

    Args:
        path: Its folder.
        record: What it is.
        end: How it ended; None: it has not, or nobody knows.
        is_supervised: Whether its supervisor is there.
    """

    def __init__(self, path: str, record: DetachedRecord, end: DetachedEnd | None, *, is_supervised: bool) -> None:
        self._path = path
        self._record = record
        self.identifier = str(record.process.pid)
        self.key = detached_key(record.created_at)
        self.is_active = end is None and (is_supervised or _runs(record.process))
        self.created_at = record.created_at
        if end is not None:
            self.status = WorkloadStatus.FAILED if end.status_code else WorkloadStatus.SUCCEEDED
        else:
            self.status = WorkloadStatus.RUNNING if self.is_active else WorkloadStatus.UNKNOWN

    def is_there(self) -> bool:
        """Say whether its folder is still there."""
        return os.path.exists(self._path)  # noqa: PTH110 (a text)

    def kill(self, grace_seconds: float) -> None:
        """End its whole group."""
        _kill(self._record.process, grace_seconds)

    def remove(self) -> None:
        """Remove its folder, its output and result, and the temporary one that a killed supervisor has left."""
        _remove_folder(self._path, self._record.process.temporary_dir)


class HalfMade(LeftWorkload):
    """The folder of a detached process that was never started.

    Args:
        path: The folder.
        made_at: When it was made, as a time stamp.
    """

    def __init__(self, path: str, made_at: float) -> None:
        self._path = path
        self.identifier = self.key = os.path.basename(path)  # noqa: PTH119 (a text)
        self.status = WorkloadStatus.PENDING
        self.is_active = False
        self.created_at = datetime.fromtimestamp(made_at, UTC)

    def is_there(self) -> bool:
        """Say whether it is still there."""
        return os.path.exists(self._path)  # noqa: PTH110 (a text)

    def kill(self, grace_seconds: float) -> None:
        """Do nothing: it does not run."""

    def remove(self) -> None:
        """Remove the folder."""
        _remove_folder(self._path)


_Left = LeftProcess | LeftDetached | HalfMade


def find_left_processes() -> list[_Left]:
    """Find the processes of our runs on this machine that no agent watches. Blocks.

    Raises:
        InfrastructureNotAvailable: Their watch records cannot be read.
    """
    found, watched = list(_all_processes()), watched_keys()
    if agent_host() is None:
        raise InfrastructureNotAvailable("What agents watch cannot be known: no watch can be recorded here.")
    # A run that has ended since has removed its record, and then that of its watch.
    return [each for each in found if each.key not in watched and each.is_there()]


def _all_processes() -> Iterator[_Left]:
    host = socket.gethostname()
    try:
        entries = sorted(os.scandir(runs_folder()), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InfrastructureNotAvailable(f"Run records cannot be read: {error}") from error
    for entry in entries:
        try:
            left = _of_entry(entry, host)
        except FileNotFoundError:
            continue
        except (OSError, InfrastructureError) as error:
            if not _is_young(entry):  # it is just being written
                logger.warning("%s cannot be read, and is left as it is: %s", entry.path, error)
            continue
        if left is not None:
            yield left


def _is_young(entry: os.DirEntry[str]) -> bool:
    try:
        return time.time() - entry.stat().st_mtime < _HALF_MADE_SECONDS
    except OSError:
        return True


def _of_entry(entry: os.DirEntry[str], host: str) -> _Left | None:
    if entry.is_dir(follow_symlinks=False):
        return _of_folder(entry, host)
    if not (entry.name.startswith(f"{host}-") and entry.name.endswith(".json")):
        return None
    record = read_record(entry.path)
    return None if record is None or _is_elsewhere(record) else LeftProcess(record)


def _of_folder(entry: os.DirEntry[str], host: str) -> _Left | None:
    folder = RunFolder(entry.path)
    try:
        # First the connection: an end that is not written by the time it breaks never will be.
        connection = folder.connect()
        if connection is not None:
            connection.close()
        if entry.name.startswith(NEW):
            made_at = entry.stat().st_mtime
            is_abandoned = connection is None and time.time() - made_at > _HALF_MADE_SECONDS
            return HalfMade(entry.path, made_at) if is_abandoned else None
        record = folder.record()
        if record.process.host != host or _is_elsewhere(record.process):
            return None
        return LeftDetached(entry.path, record, folder.end(), is_supervised=connection is not None)
    finally:
        folder.close()


def _is_elsewhere(record: RunRecord) -> bool:
    """Say whether it belongs to another container of this machine, from where alone it can be seen."""
    return record.boot_id == boot_id() and record.pid_namespace != pid_namespace()


def _runs(record: RunRecord) -> bool:
    return record.boot_id == boot_id() and record.is_running()


def _kill(record: RunRecord, grace_seconds: float) -> None:
    if not terminate_group(record.pid, record.start_time, grace_seconds, cancellation_requested):
        raise InfrastructureError(f"Process {record.pid} does not end, not even after SIGKILL: see its state in `ps`.")


def _remove_folder(path: str, temporary_dir: str | None = None) -> None:
    with suppress(FileNotFoundError):
        folder = RunFolder(path)
        try:
            folder.remove(temporary_dir)
        finally:
            folder.close()
