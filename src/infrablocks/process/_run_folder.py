"""The folder of a detached process, which its supervisor writes: what the process is, and how it ended.

It stays when the process has ended, so that its result can be had later, and is removed after a while.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.process._process_table import boot_id, pid_namespace
from infrablocks.process._record import RunRecord, pid_of, runs_folder
from infrablocks.process._temporary_folder import remove_temporary_folder

logger = logging.getLogger("infrablocks.process")

_SUPERVISOR_ENDS_SECONDS = 10.0
NEW = "new-"
"""How the name of a folder begins whose process has not been started yet."""
_VERSION = 1
_CONNECT_SECONDS = 30

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class DetachedRecord:
    """What a detached process is.

    Attributes:
        process: Its record, as any process has one.
        label: Its name for people.
        supervisor_pid: Who stands beside it.
        created_at: When it was about to be started.
        started_at: When it ran.
        output_limit: How many bytes of its output are kept.
    """

    process: RunRecord
    label: str
    supervisor_pid: int
    created_at: datetime
    started_at: datetime
    output_limit: int


@dataclass(frozen=True)
class DetachedEnd:
    """How a detached process ended.

    Attributes:
        status_code: Its exit code or negated signal.
        finished_at: When.
        held_open: Whether it has left a process behind that holds its output open.
        output_error: The number of the error for which output was not kept, or 0.
        folder_problem: Why its temporary folder is still there, or nothing.
    """

    status_code: int
    finished_at: datetime
    held_open: bool
    output_error: int
    folder_problem: str


class RunFolder:
    """The folder of one run, held open: it may be renamed or removed meanwhile.

    Raises:
        FileNotFoundError: It is not there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, FOLDER_FLAGS)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def record(self) -> DetachedRecord:
        """Read what the process is.

        Raises:
            InfrastructureNotAvailable: The file is damaged.
        """
        values = self._read("run.json")
        if values is None:
            raise self._damaged("run.json", "it is missing")
        try:
            if values["version"] != _VERSION:
                raise self._damaged("run.json", f"its version is {values['version']!r}, this library reads {_VERSION}")
            process = RunRecord(
                host=str(values["host"]),
                boot_id=str(values["boot_id"]),
                pid_namespace=str(values["pid_namespace"]),
                pid=int(values["pid"]),
                start_time=int(values["start_time"]),
                temporary_dir=None if (folder := values.get("temporary_dir")) is None else str(folder),
            )
            name = values["name"]
            return DetachedRecord(
                process=process,
                label=f"Process {name!r}" if name else f"Process {process.pid}",
                supervisor_pid=int(values["supervisor_pid"]),
                created_at=_moment(values["created_at"]),
                started_at=_moment(values["started_at"]),
                output_limit=int(values["output_limit"]),
            )
        except _BAD_VALUES as error:
            raise self._damaged("run.json", str(error)) from error

    def end(self) -> DetachedEnd | None:
        """Read how the process ended; None where it has not, or nobody has seen it.

        Raises:
            InfrastructureNotAvailable: The file is damaged.
        """
        values = self._read("end.json")
        if values is None:
            return None
        try:
            return DetachedEnd(
                status_code=int(values["status_code"]),
                finished_at=_moment(values["finished_at"]),
                held_open=bool(values["held_open"]),
                output_error=int(values["output_error"]),
                folder_problem=str(values["folder_problem"]),
            )
        except _BAD_VALUES as error:
            raise self._damaged("end.json", str(error)) from error

    def connect(self) -> socket.socket | None:
        """Connect to the supervisor, who then tells of output and the end; None where there is none any more.

        Raises:
            InfrastructureNotAvailable: It cannot be connected to.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A socket of Python's with a time limit does not wait in a queue that is full, as this one does.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _CONNECT_SECONDS, 0))
            # The path of a socket may have 107 bytes, which the folder's own may exceed.
            connection.connect(f"/proc/self/fd/{self.descriptor}/watch")
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except OSError as error:
            connection.close()
            raise InfrastructureNotAvailable(
                f"The supervisor of the run in {self.path} cannot be connected to: {error}"
            ) from error
        connection.setblocking(False)
        return connection

    def remove(self, temporary_dir: str | None = None) -> None:
        """Remove it with all that is in it, after its supervisor, whose process has ended, is done with it.

        Args:
            temporary_dir: The folder that the process has worked in, still there where its supervisor was killed.

        Raises:
            InfrastructureError: It cannot be removed.
        """
        connection = self.connect()
        if connection is not None:
            with connection:
                connection.settimeout(_SUPERVISOR_ENDS_SECONDS)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionError:
                    pass
                except TimeoutError as error:
                    raise InfrastructureError(f"The supervisor of the run in {self.path} does not end.") from error
        remove_temporary_folder(temporary_dir)
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InfrastructureError(f"The folder {self.path} of a run was not removed: {error}") from error

    def mark_as_seen(self) -> None:
        """Note that somebody has seen the end."""
        with suppress(OSError):
            os.close(os.open("seen", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.descriptor))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            with open(name, "rb", opener=lambda path, flags: os.open(path, flags, dir_fd=self.descriptor)) as file:
                values = json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._damaged(name, str(error)) from error
        if not isinstance(values, dict):
            raise self._damaged(name, "it holds no JSON object")
        return values

    def _damaged(self, name: str, problem: str) -> InfrastructureNotAvailable:
        return InfrastructureNotAvailable(f"The record {self.path}/{name} of a run cannot be read: {problem}.")


_BAD_VALUES = (KeyError, TypeError, ValueError, OverflowError)


def find_run_folder(identifier: str) -> RunFolder | None:
    """Find the folder of a detached process of this machine; None where there is none.

    Args:
        identifier: `pid` or `host:pid`.

    Raises:
        InfrastructureNotFound: It is not such an identifier.
        InfrastructureNotAvailable: It is on another machine, or its folder is out of reach.
    """
    host, pid = pid_of(identifier)
    try:
        return RunFolder(f"{runs_folder()}/{host}-{pid}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InfrastructureNotAvailable(f"The folder of the run {identifier} cannot be read: {error}") from error


def make_run_folder() -> str:
    """Make the folder of a run that is about to start, under a name for the time until its pid is known.

    Raises:
        OSError: It cannot be made.
    """
    runs = Path(runs_folder())
    if not runs.is_dir():
        runs.mkdir(parents=True, exist_ok=True)
        runs.chmod(0o700)
    path = f"{runs}/{NEW}{os.getpid()}-{time.time_ns()}-{os.urandom(4).hex()}"
    os.mkdir(path, 0o700)  # noqa: PTH102 (as text, for the supervisor)
    return path


def record_text(name: str | None, created_at: datetime, output_limit: int, temporary_dir: str | None) -> str:
    """Write the beginning of a run's record, which its supervisor completes."""
    return json.dumps(
        {
            "version": _VERSION,
            "host": socket.gethostname(),
            "boot_id": boot_id(),
            "pid_namespace": pid_namespace(),
            "name": name,
            "created_at": created_at.timestamp(),
            "output_limit": output_limit,
            "temporary_dir": temporary_dir,
        }
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
