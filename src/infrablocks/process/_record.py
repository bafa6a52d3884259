"""Run records: files that say which processes are ours, so that a bare pid can be killed safely.

`$INFRABLOCKS_HOME/runs/` (default `~/.infrablocks/runs/`) holds one file for each process that runs. It is written
before the run is reported and removed at its end; when the agent crashes it stays, and so does the process.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infrablocks._home import library_home
from infrablocks._watch_records import watched_keys
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable, InfrastructureNotFound
from infrablocks.process._process_table import boot_id, pid_namespace, process_entry
from infrablocks.process._temporary_folder import remove_temporary_folder
from infrablocks.process._watch_keys import started_key

logger = logging.getLogger("infrablocks.process")

_PID_DIGITS = 18


@dataclass(frozen=True)
class RunRecord:
    """One process that a run started.

    Attributes:
        host: The machine it runs on.
        boot_id: Which start of the machine its pid belongs to.
        pid_namespace: Which numbering its pid belongs to.
        pid: Its number, also that of its process group.
        start_time: When it started, in clock ticks since the boot.
        temporary_dir: The folder that was made for it, None where it works in another one.
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_time: int
    temporary_dir: str | None = None

    @property
    def path(self) -> str:
        """The record's file."""
        return _record_path(self.host, self.pid)

    def write(self) -> None:
        """Write the record. Where that cannot be done the run goes on; its process is then not found by `kill`."""
        try:
            _write_private(self.path, json.dumps(vars(self)).encode())
        except OSError as error:
            logger.warning("No run record for process %d: `kill` and `status` will not find it (%s)", self.pid, error)

    def remove(self) -> None:
        """Remove the record; it may be gone already."""
        try:
            os.unlink(self.path)  # noqa: PTH108 (as for `_record_path`)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.warning("The run record %s could not be removed: %s", self.path, error)

    def forget(self) -> None:
        """Remove the record of a process that has ended, and its folder where there is no agent that does so."""
        try:
            if self.temporary_dir is not None and not watched_keys(started_key(self.pid, self.start_time)):
                remove_temporary_folder(self.temporary_dir)
        except InfrastructureError as error:
            logger.warning("%s", error)
        self.remove()

    def is_running(self) -> bool:
        """Say whether the process that was started runs, and not another one that has got its pid."""
        entry = process_entry(self.pid)
        return entry is not None and entry.is_alive and entry.start_time == self.start_time


def record_of(pid: int, temporary_dir: str | None = None) -> RunRecord:
    """Make the record of a process that has just been started, and has not been waited for."""
    entry = process_entry(pid)
    start_time = -1 if entry is None else entry.start_time
    return RunRecord(socket.gethostname(), *_this_machine(), pid, start_time, temporary_dir)


def find_record(identifier: str) -> RunRecord:
    """Find the record of a process of this machine.

    Args:
        identifier: `pid` or `host:pid`.

    Raises:
        InfrastructureNotFound: No run of ours has this pid, or the process has ended.
        InfrastructureNotAvailable: It runs on another machine or in another container.
    """
    here, pid = pid_of(identifier)
    record = read_record(_record_path(here, pid))
    if record is not None and record.boot_id == boot_id() and record.pid_namespace != pid_namespace():
        raise InfrastructureNotAvailable(f"Process {pid} runs in another container of {here}: make this call there.")
    if record is None or record.boot_id != boot_id() or not record.is_running():
        if record is not None:
            record.forget()
        raise InfrastructureNotFound(f"No run of this library on {here} has the process {pid} (any more).")
    return record


def pid_of(identifier: str) -> tuple[str, int]:
    """Read the identifier of a process of this machine; give the machine's name and the pid.

    Raises:
        InfrastructureNotFound: It is not such an identifier.
        InfrastructureNotAvailable: It names another machine.
    """
    host, _, pid = identifier.rpartition(":")
    here = socket.gethostname()
    if not (pid.isascii() and pid.isdecimal() and len(pid) <= _PID_DIGITS):
        raise InfrastructureNotFound(f"{identifier!r} is not the identifier of a process: `pid` or `host:pid`.")
    if host and host != here:
        raise InfrastructureNotAvailable(f"Process {pid} runs on {host}, this is {here}: make this call there.")
    return here, int(pid)


def runs_folder() -> str:
    """Give the folder of all records."""
    # Every run comes by here twice: a Path would take longer than the file itself.
    return f"{library_home()}/runs"


def read_record(path: str) -> RunRecord | None:
    """Read a record; None where there is none.

    Raises:
        InfrastructureNotAvailable: It cannot be read.
    """
    try:
        return RunRecord(**json.loads(Path(path).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InfrastructureNotAvailable(f"The run record {path} cannot be read: {error}") from error


def _record_path(host: str, pid: int) -> str:
    return f"{runs_folder()}/{host}-{pid}.json"


def _write_private(path: str, data: bytes) -> None:
    """Write a file that only its owner may read, and that is there whole or not at all."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    unfinished = f"{path}.new"
    try:
        descriptor = os.open(unfinished, flags, 0o600)
    except FileNotFoundError:
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        descriptor = os.open(unfinished, flags, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    os.replace(unfinished, path)  # noqa: PTH105 (as for `_record_path`)


@cache
def _this_machine() -> tuple[str, str]:
    return boot_id(), pid_namespace()
