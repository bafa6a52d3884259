"""Processes on systems other than Linux: macOS, BSD, Windows.

They have neither /proc nor descriptors of processes, and Windows cannot wait for pipes. So three threads watch each
process, and no run records are kept. Everything in here also runs on Linux, where the tests run it.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from anyio import move_on_after

from infrablocks._results import WorkloadStatus
from infrablocks._threads import ThreadsafeEvent, cancellation_requested, run_in_worker_thread
from infrablocks._workload import Workload
from infrablocks.process._result import process_result
from infrablocks.process._spawn import spawn

if TYPE_CHECKING:
    from infrablocks._output import Output, StreamName
    from infrablocks.process._result import ProcessResult
    from infrablocks.process._settings import ProcessSettings

logger = logging.getLogger("infrablocks.process")

_CHECK_SECONDS = 0.05
_READ_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.5


class PortableProcess(Workload):
    """A process that this process has started, watched by threads.

    Args:
        settings: What it is started with.
        name: Its name for people.

    Raises:
        WorkloadCreationError: It could not be started; nothing is left behind.
    """

    def __init__(self, settings: ProcessSettings, name: str | None) -> None:
        self._created_at = datetime.now(UTC)
        self._process, self._temporary_dir = spawn(settings)
        self._started_at = datetime.now(UTC)
        self._label = f"Process {name!r}" if name else f"Process {self._process.pid}"
        self._watched = False
        self.identifier = str(self._process.pid)

    @property
    def reported_identifier(self) -> int:
        """The pid."""
        return self._process.pid

    async def watch(self, output: Output) -> ProcessResult:
        """Copy what the process prints, and wait for its end."""
        self._watched = True
        pipes: dict[StreamName, IO[bytes] | None] = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        copies = [_copy_in_thread(pipe, stream, output) for stream, pipe in pipes.items() if pipe is not None]
        await run_in_worker_thread(self._wait)
        finished_at = datetime.now(UTC)
        with move_on_after(_DRAIN_SECONDS) as drain:
            for copied in copies:
                await copied.wait()
        if drain.cancelled_caught:
            logger.warning("%s has left a process behind that holds its output open", self._label)
        await output.finish()
        return process_result(
            pid=self._process.pid,
            label=self._label,
            status_code=self._process.returncode,
            created_at=self._created_at,
            started_at=self._started_at,
            finished_at=finished_at,
        )

    async def kill(self, grace_seconds: float) -> None:
        """Ask the process (on Windows its group by CTRL_BREAK, elsewhere by SIGTERM) to end, then kill it."""
        await run_in_worker_thread(lambda: self._terminate(grace_seconds))

    async def status(self) -> WorkloadStatus:
        """Say whether it runs."""
        return WorkloadStatus.UNKNOWN if self._process.poll() is not None else WorkloadStatus.RUNNING

    def _wait(self) -> None:
        while self._process.poll() is None and not cancellation_requested():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_CHECK_SECONDS)

    def _terminate(self, grace_seconds: float) -> None:
        self._signal_group(force=False)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        self._signal_group(force=True)  # the command has ended, but maybe not its children
        self._process.wait()

    def _signal_group(self, *, force: bool) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it is gone, for which macOS has the latter
            if sys.platform != "win32":
                os.killpg(self._process.pid, signal.SIGKILL if force else signal.SIGTERM)
            elif force:
                self._process.kill()
            else:
                self._process.send_signal(signal.CTRL_BREAK_EVENT)

    def close(self) -> None:
        """Take the temporary folder away where the process has ended."""
        if not self._watched:  # otherwise the threads that read the pipes close them
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
        if self._process.poll() is not None and self._temporary_dir is not None:
            shutil.rmtree(self._temporary_dir, ignore_errors=True)


def _copy_in_thread(pipe: IO[bytes], stream: StreamName, output: Output) -> ThreadsafeEvent:
    """Copy a pipe to its end and close it, in a daemon thread: who holds it open may do so for ever."""
    copied = ThreadsafeEvent()

    def copy() -> None:
        with pipe:
            while data := pipe.read(_READ_BYTES):
                output.write_from_thread(stream, data)
        copied.set()

    threading.Thread(target=copy, name="infrablocks-pipe", daemon=True).start()
    return copied
