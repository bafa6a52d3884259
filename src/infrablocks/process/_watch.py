"""A process that was started here: its output, its end, and what is left to do then."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from datetime import UTC, datetime
from io import FileIO
from typing import IO, TYPE_CHECKING

from anyio import create_task_group, move_on_after, wait_readable

from infrablocks._results import WorkloadStatus
from infrablocks._threads import cancellation_requested, interrupted_at_awaits_only, run_in_worker_thread
from infrablocks._watch_records import WatchRecord
from infrablocks._workload import Workload
from infrablocks.exceptions import InfrastructureError, UnsupportedOperation, WorkloadCreationError
from infrablocks.process._group import terminate_group
from infrablocks.process._pipes import PipeCopy
from infrablocks.process._record import RunRecord, find_record, record_of
from infrablocks.process._result import process_result
from infrablocks.process._spawn import spawn
from infrablocks.process._temporary_folder import remove_folder
from infrablocks.process._watch_keys import started_key

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks._output import Output, StreamName
    from infrablocks.process._result import ProcessResult
    from infrablocks.process._settings import ProcessSettings

logger = logging.getLogger("infrablocks.process")

_CHECK_SECONDS = 0.05
# How long to wait for the end of a pipe that processes hold open which the command has left behind.
_DRAIN_SECONDS = 0.5


class StartedProcess(Workload):
    """A process that this process has started and whose parent it is.

    Args:
        settings: What it is started with.
        name: Its name for people.

    Raises:
        WorkloadCreationError: It could not be started; nothing is left behind.
    """

    def __init__(self, settings: ProcessSettings, name: str | None) -> None:
        _reap_left_processes()
        self._created_at = datetime.now(UTC)
        self._process, self._temporary_dir = spawn(settings)
        self._started_at = datetime.now(UTC)
        self._label = f"Process {name!r}" if name else f"Process {self._process.pid}"
        self._record = record_of(self._process.pid, None if self._temporary_dir is None else str(self._temporary_dir))
        self._ended = False
        self.identifier = str(self._process.pid)
        self._exit_descriptor: int | None = None
        try:
            self._exit_descriptor = _open_exit_descriptor(self._process.pid)
        except OSError as error:
            terminate_group(self._process.pid, self._record.start_time, 0, cancellation_requested)
            self._ended = True
            self.close()
            message = f"{self._label} could not be watched and was killed: {error.strerror}"
            raise WorkloadCreationError(message) from error
        # Before the record of the run, by which others find it.
        self.watch_record = WatchRecord(started_key(self._record.pid, self._record.start_time))
        self._record.write()

    @property
    def reported_identifier(self) -> int:
        """The pid."""
        return self._process.pid

    async def watch(self, output: Output) -> ProcessResult:
        """Copy what the process prints, and wait for its end."""
        pipes: dict[StreamName, IO[bytes] | None] = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        copies = [PipeCopy(pipe, stream, output) for stream, pipe in pipes.items() if isinstance(pipe, FileIO)]
        async with create_task_group() as tasks:
            for copy in copies:
                tasks.start_soon(interrupted_at_awaits_only, copy.run)
            await self._wait_for_exit()
            finished_at = datetime.now(UTC)
            self._ended = True
            await self._drain(copies)
            if not all(copy.closed for copy in copies):
                tasks.cancel_scope.cancel()
        await output.finish()
        return process_result(
            pid=self._process.pid,
            label=self._label,
            status_code=_status_code(self._process.pid),
            created_at=self._created_at,
            started_at=self._started_at,
            finished_at=finished_at,
        )

    async def _drain(self, copies: list[PipeCopy]) -> None:
        for copy in copies:
            await copy.wait_for_rest()
        if all(copy.closed for copy in copies):
            return
        with move_on_after(_DRAIN_SECONDS) as drain:
            for copy in copies:
                await copy.wait_for_close()
        if drain.cancelled_caught:
            logger.warning(
                "%s has left a process behind that holds its output open; what that prints is not copied any more",
                self._label,
            )

    async def kill(self, grace_seconds: float) -> None:
        """End the whole process group."""
        await kill_group(self._record, grace_seconds)

    async def status(self) -> WorkloadStatus:
        """Say whether it runs."""
        return WorkloadStatus.RUNNING if _is_running(self._process.pid) else WorkloadStatus.UNKNOWN

    async def _wait_for_exit(self) -> None:
        if self._exit_descriptor is None:
            await run_in_worker_thread(self._wait_for_exit_in_thread)
        else:
            await wait_readable(self._exit_descriptor)

    def _wait_for_exit_in_thread(self) -> None:
        while _is_running(self._process.pid) and not cancellation_requested():
            time.sleep(_CHECK_SECONDS)

    def close(self) -> None:
        """Close the pipes, and where the process has ended take its entry, record and temporary folder away."""
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._exit_descriptor is not None:
            os.close(self._exit_descriptor)
        if not self._ended and _is_running(self._process.pid):
            with _left_pids_lock:
                _left_pids.append(self._process.pid)
            self._process.returncode = 0  # `Popen` would complain about a process that still runs
            return
        # Only now is the pid free for another process to get.
        self._process.poll()
        self._record.remove()
        if self._temporary_dir is not None:
            _remove_folder(self._temporary_dir)


class FoundProcess(Workload):
    """A process that a run of this machine has started, found again by its record. Blocks while it is looked for.

    Raises:
        InfrastructureNotFound: No run of ours has this process (any more).
        InfrastructureNotAvailable: It is not of this machine.
    """

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self._record = find_record(identifier)

    def record_watch(self) -> None:
        """Do nothing: it cannot be watched."""

    async def watch(self, output: Output) -> ProcessResult:  # noqa: ARG002
        """Only the process that has started another one gets its output and status code."""
        raise UnsupportedOperation(
            f"Process {self.identifier} was not started with detached=True: only the run that started it gets its "
            "output and its status code. Run with Process(..., detached=True) what is to be attached to."
        )

    async def kill(self, grace_seconds: float) -> None:
        """End the whole process group."""
        await kill_group(self._record, grace_seconds)
        # Its agent does the same, but may be gone.
        await run_in_worker_thread(self._record.forget)

    async def status(self) -> WorkloadStatus:
        """Say that it runs: one that has ended is not found."""
        return WorkloadStatus.RUNNING


def _open_exit_descriptor(pid: int) -> int | None:
    """Open a file that becomes readable when the process ends; None where that cannot be had.

    https://man7.org/linux/man-pages/man2/pidfd_open.2.html
    """
    try:
        return os.pidfd_open(pid)
    except AttributeError:  # not Linux
        return None
    except OSError as error:
        # It has ended and is forgotten, since SIGCHLD is ignored; or the kernel is older than 5.3.
        if error.errno in {errno.ESRCH, errno.ENOSYS}:
            return None
        raise


def _is_running(pid: int) -> bool:
    """Say whether a child of ours runs, without waiting for it: its pid stays its own until everything is closed."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _status_code(pid: int) -> int | None:
    """Read the status code of a child that has ended; None when somebody else has already done so.

    `Popen` says 0 then, which would make a success of a failure.
    """
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


async def kill_group(record: RunRecord, grace_seconds: float) -> None:
    """End the process group of a process, and wait until it is gone.

    Raises:
        InfrastructureError: It does not end.
    """
    gone = await run_in_worker_thread(
        lambda: terminate_group(record.pid, record.start_time, grace_seconds, cancellation_requested)
    )
    if not gone:
        raise InfrastructureError(f"Process {record.pid} does not end, not even after SIGKILL: see its state in `ps`.")


def _remove_folder(folder: Path) -> None:
    try:
        remove_folder(folder)
    except OSError as error:
        logger.warning("The temporary folder %s could not be removed: %s", folder, error)


# Processes that outlive the run that started them (on_cancel="leave"): they are waited for when they have ended, so
# that they do not stay in the process table.
_left_pids: list[int] = []
_left_pids_lock = threading.Lock()


def _reap_left_processes() -> None:
    if _left_pids:
        with _left_pids_lock:
            _left_pids[:] = [pid for pid in _left_pids if not _reap(pid)]


def _reap(pid: int) -> bool:
    """Take a process that has ended out of the process table; False while it runs."""
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True
