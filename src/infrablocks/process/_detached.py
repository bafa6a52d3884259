"""A detached process: watched, killed and asked about through what its supervisor writes, by any agent."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import move_on_after, wait_readable

from infrablocks._results import Reason, WorkloadStatus
from infrablocks._threads import ThreadLimit, run_in_worker_thread
from infrablocks._watch_records import WatchRecord
from infrablocks._workload import Workload
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable, WorkloadCreationError
from infrablocks.process._kept_output import KeptOutput
from infrablocks.process._process_table import boot_id, pid_namespace
from infrablocks.process._result import ProcessResult, process_result
from infrablocks.process._run_folder import find_run_folder
from infrablocks.process._watch import kill_group
from infrablocks.process._watch_keys import detached_key

if TYPE_CHECKING:
    from infrablocks._output import Output, OutputPosition
    from infrablocks.process._run_folder import DetachedEnd, RunFolder

logger = logging.getLogger("infrablocks.process")

# Reading files is work for a processor, as these are read soon after they were written.
_READ_THREADS = ThreadLimit(8)
_END_FOLLOWS_SECONDS = 2.0


class DetachedProcess(Workload):
    """A process that has a supervisor, found by its folder. Blocks while it is made.

    Args:
        folder: Its folder; closed with it.
        stream_output: Whether anybody wants its output.
        after: How far that was delivered before.

    Raises:
        InfrastructureNotAvailable: Its record cannot be read, or it runs in another container.
    """

    def __init__(self, folder: RunFolder, *, stream_output: bool, after: OutputPosition | None = None) -> None:
        self._folder = folder
        self._output = KeptOutput(folder, after) if stream_output else None
        self._record = folder.record()
        self.identifier = str(self._record.process.pid)
        # First the connection: an end that is not written by the time it breaks never will be.
        self._supervisor = folder.connect()
        if self._supervisor is None and self._is_elsewhere() and not self.has_ended:
            raise InfrastructureNotAvailable(
                f"{self._record.label} runs in another container of this machine: make this call there."
            )

    @property
    def reported_identifier(self) -> int:
        """The pid."""
        return self._record.process.pid

    async def watch(self, output: Output) -> ProcessResult:
        """Copy what it prints, which is kept by its supervisor, and wait for its end."""
        while await self._copy(output) or await self._supervisor_tells():
            pass
        result = await run_in_worker_thread(self._see_end)
        await output.finish()
        return result

    async def kill(self, grace_seconds: float) -> None:
        """End the whole process group; one that has ended is left as it is."""
        if await run_in_worker_thread(self._may_run):
            await kill_group(self._record.process, grace_seconds)

    async def copy_log(self, output: Output) -> None:
        """Copy what is kept of its output by now."""
        while await self._copy(output):
            pass

    async def status(self) -> WorkloadStatus:
        """Read whether it has ended, and how."""
        end = await run_in_worker_thread(self._folder.end)
        if end is None:
            if await run_in_worker_thread(self._is_running):
                return WorkloadStatus.RUNNING
            with move_on_after(_END_FOLLOWS_SECONDS):  # its supervisor is about to write it
                while await self._supervisor_tells():
                    pass
            end = await run_in_worker_thread(self._folder.end)
        if end is None:
            return WorkloadStatus.UNKNOWN
        return WorkloadStatus.FAILED if end.status_code else WorkloadStatus.SUCCEEDED

    def forget(self) -> None:
        """Remove its folder."""
        self._folder.remove()

    def record_watch(self) -> None:
        """Put on record that it is watched. Blocks."""
        self.watch_record = WatchRecord(detached_key(self._record.created_at))

    @property
    def has_ended(self) -> bool:
        """Whether its end is written. Blocks."""
        return self._folder.end() is not None

    def close(self) -> None:
        """Close what is open of it."""
        if self._output is not None:
            self._output.close()
        if self._supervisor is not None:
            self._supervisor.close()
        self._folder.close()

    async def _copy(self, output: Output) -> bool:
        """Copy what is there now; say whether there was anything."""
        kept = self._output
        if kept is None:
            return False
        pieces = await run_in_worker_thread(kept.read, _READ_THREADS)
        if not pieces and self._supervisor is None:
            pieces = kept.finish()
        for stream, data, begins_at in pieces:
            if begins_at is not None:
                await output.begin_at(stream, begins_at, self._notice(begins_at.lines))
            if data:
                await output.write(stream, data)
        return bool(pieces)

    async def _supervisor_tells(self) -> bool:
        """Wait until the supervisor has something to tell; False: it is gone, and all that it wrote was read before."""
        supervisor = self._supervisor
        if supervisor is None:
            return False
        await wait_readable(supervisor)
        with suppress(ConnectionError):
            if supervisor.recv(4096):
                return True
        self._supervisor = None
        supervisor.close()
        return True  # to read what it wrote last

    def _notice(self, lines: int) -> str:
        limit = self._record.output_limit
        return f"[infrablocks: lines are missing here, line {lines + 1} follows (output_limit={limit})]\n"

    def _see_end(self) -> ProcessResult:
        end = self._folder.end()
        if end is None:
            return self._unknown_end()
        self._folder.mark_as_seen()
        return self._result(end)

    def _result(self, end: DetachedEnd) -> ProcessResult:
        record = self._record
        if end.held_open:
            logger.warning(
                "%s has left a process behind that holds its output open; what that prints is not kept", record.label
            )
        if end.output_error:
            logger.warning("Not all output of %s could be kept: %s", record.label, os.strerror(end.output_error))
        if end.folder_problem:
            logger.warning("The temporary folder of %s could not be removed: %s", record.label, end.folder_problem)
        return process_result(
            pid=record.process.pid,
            label=record.label,
            status_code=end.status_code,
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=end.finished_at,
        )

    def _unknown_end(self) -> ProcessResult:
        record = self._record
        if not self._is_of_this_boot():
            what = "was running when this machine was restarted"
        elif self._is_running():
            what = (
                f"has lost its supervisor (process {record.supervisor_pid}), which somebody has killed. It still runs; "
                f"end it with kill({self.identifier!r})"
            )
        else:
            what = f"has ended after its supervisor (process {record.supervisor_pid}), which somebody has killed"
        return ProcessResult(
            identifier=self.identifier,
            status_code=-1,
            reason=Reason.UNKNOWN,
            message=f"{record.label} {what}; its status code is not known.",
            created_at=record.created_at,
            started_at=record.started_at,
        )

    def _may_run(self) -> bool:
        return not self.has_ended and self._is_of_this_boot()

    def _is_of_this_boot(self) -> bool:
        return self._record.process.boot_id == boot_id()

    def _is_elsewhere(self) -> bool:
        return self._is_of_this_boot() and self._record.process.pid_namespace != pid_namespace()

    def _is_running(self) -> bool:
        return self._is_of_this_boot() and self._record.process.is_running()


def find_detached(
    identifier: str, *, stream_output: bool = True, after: OutputPosition | None = None
) -> DetachedProcess | None:
    """Find a detached process; None where there is none of this identifier. Blocks.

    Args:
        identifier: `pid` or `host:pid`.
        stream_output: Whether anybody wants its output.
        after: How far that was delivered before.

    Raises:
        InfrastructureNotFound: This is no identifier.
        InfrastructureNotAvailable: It is on another machine or in another container, or cannot be read.
    """
    folder = find_run_folder(identifier)
    if folder is None:
        return None
    try:
        return DetachedProcess(folder, stream_output=stream_output, after=after)
    except BaseException:
        folder.close()
        raise


def find_started(pid: int, *, stream_output: bool) -> DetachedProcess:
    """Find a detached process that has just been started; one that cannot be watched is killed. Blocks.

    Raises:
        WorkloadCreationError: It cannot be watched.
    """
    try:
        workload = find_detached(str(pid), stream_output=stream_output)
        problem: object = "its folder is gone"
    except InfrastructureError as error:
        workload, problem = None, error
    if workload is None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        raise WorkloadCreationError(f"Process {pid} could not be watched and was killed: {problem}")
    return workload
