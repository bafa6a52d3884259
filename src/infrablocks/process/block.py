"""The block: its fields, and how the base's parts are made of the modules beside it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from infrablocks._threads import ThreadLimit
from infrablocks._watch_records import WatchRecord
from infrablocks.base import Infrastructure
from infrablocks.exceptions import InfrastructureNotFound, UnsupportedOperation
from infrablocks.process._portable import PortableProcess
from infrablocks.process._result import ProcessResult
from infrablocks.process._settings import ProcessSettings, process_settings
from infrablocks.process._watch_keys import detached_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infrablocks._output import OutputPosition
    from infrablocks._workload import Workload
    from infrablocks.base import LeftWorkload
    from infrablocks.process._detached import DetachedProcess
    from infrablocks.process._watch import FoundProcess

__all__ = ["Process", "ProcessResult"]


class Process(Infrastructure):
    """Run a command as a process of this machine.

    The process gets the environment of this one without `INFRABLOCKS_SECRET_KEY`, over it the Prefect settings in
    force, and over these `env`. It runs in a session of its own with nothing on stdin: a Ctrl-C in the terminal reaches
    it through this library only.

    Attributes:
        stream_output: Whether to pass on what it prints; otherwise it prints into the null device.
        working_dir: The folder it runs in. None: a temporary one, removed at the end.
        detached: Whether it outlives this program. Its output and status code are then kept below `$INFRABLOCKS_HOME`,
            by a small process beside it, for `attach`; a cancelled run leaves it by default. Linux only.
        output_limit: How many bytes of the output of a detached process are kept; the oldest lines go first.

    Example:
        ```python
        from infrablocks import Process

        result = Process(command=["sh", "-c", "echo hello; exit 3"]).run()
        #> hello
        assert result.status_code == 3
        ```
    """

    _block_type_name: ClassVar[str | None] = "Process"
    _block_type_slug: ClassVar[str | None] = "process"
    _default_on_cancel: ClassVar[Literal["kill", "leave"]] = "kill"
    # Starting a process is work for a processor and not a wait: more threads would only take turns.
    _creation_threads: ClassVar[ThreadLimit] = ThreadLimit(8)

    type: Literal["process"] = "process"
    stream_output: bool = True
    working_dir: Path | None = None
    detached: bool = False
    output_limit: int = Field(default=8 * 1024 * 1024, ge=64 * 1024)

    def preview(self, *, show_secrets: bool = False) -> str:
        """Show the command line that `run` amounts to, quoted so that a shell runs exactly it.

        The variables that the process inherits from this one are left out.

        Args:
            show_secrets: Show the secret values in place of `********`.

        Raises:
            ValueError: The command is empty.
        """
        return self._build().as_command(show_secrets=show_secrets)

    def _build(self) -> ProcessSettings:
        return process_settings(self, self._base_environment())

    def _on_cancel(self) -> Literal["kill", "leave"]:
        return "leave" if self.detached and self.on_cancel is None else super()._on_cancel()

    def _create(self, settings: ProcessSettings) -> Workload:
        if sys.platform != "linux":
            if self.detached:
                raise UnsupportedOperation(f"Process(detached=True) runs on Linux only, not on {sys.platform}.")
            return PortableProcess(settings, self.name)
        if self.detached:
            return self._create_detached(settings)
        from infrablocks.process._watch import StartedProcess  # noqa: PLC0415 (only Linux can import it)

        return StartedProcess(settings, self.name)

    def _create_detached(self, settings: ProcessSettings) -> Workload:
        created_at = datetime.now(UTC)
        watch_record = WatchRecord(detached_key(created_at))
        try:
            workload = self._start_detached(settings, created_at)
        except BaseException:
            watch_record.remove()
            raise
        workload.watch_record = watch_record
        return workload

    def _start_detached(self, settings: ProcessSettings, created_at: datetime) -> Workload:
        from infrablocks.process._detached import find_started  # noqa: PLC0415 (only Linux can import it)
        from infrablocks.process._detached_start import start_detached  # noqa: PLC0415 (few runs are detached)

        pid = start_detached(settings, self.name, created_at)
        return find_started(pid, stream_output=self.stream_output)

    def _find(self, identifier: str) -> Workload:
        if sys.platform != "linux":
            raise UnsupportedOperation(
                f"kill and status find a process by its pid on Linux only, not on {sys.platform}."
            )
        from infrablocks.process._detached import find_detached  # noqa: PLC0415 (only Linux can import it)

        return _current(identifier, find_detached(identifier))

    def _reattach(self, identifier: str, after: OutputPosition | None) -> Workload:
        if sys.platform != "linux":
            raise UnsupportedOperation(f"attach finds a process by its pid on Linux only, not on {sys.platform}.")
        from infrablocks.process._detached import find_detached  # noqa: PLC0415 (only Linux can import it)

        workload = _current(identifier, find_detached(identifier, stream_output=self.stream_output, after=after))
        workload.record_watch()
        return workload

    def _find_left(self, *, other_hosts: bool) -> Sequence[LeftWorkload]:  # noqa: ARG002 (they cannot be reached)
        if sys.platform != "linux":
            raise UnsupportedOperation(f"reap finds processes on Linux only, not on {sys.platform}.")
        from infrablocks.process._reap import find_left_processes  # noqa: PLC0415 (only Linux can import it)

        return find_left_processes()


def _current(identifier: str, detached: DetachedProcess | None) -> DetachedProcess | FoundProcess:
    """Choose between a detached process, which is found long after its end, and one that has got its pid since."""
    from infrablocks.process._watch import FoundProcess  # noqa: PLC0415 (only Linux can import it)

    if detached is None:
        return FoundProcess(identifier)
    try:
        if not detached.has_ended:
            return detached
        current = FoundProcess(identifier)
    except InfrastructureNotFound:
        return detached
    except BaseException:
        detached.close()
        raise
    detached.close()
    return current
