"""The block: its fields, and how the base's parts are made of the modules beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from pydantic import field_validator

from infrablocks._threads import ThreadLimit
from infrablocks.base import Infrastructure
from infrablocks.exceptions import UnsupportedOperation
from infrablocks.process._portable import PortableProcess
from infrablocks.process._result import ProcessResult
from infrablocks.process._settings import ProcessSettings, process_settings

if TYPE_CHECKING:
    from infrablocks._workload import Workload

__all__ = ["Process", "ProcessResult"]


class Process(Infrastructure):
    """Run a command as a process of this machine.

    The process gets the environment of this one, over it the Prefect settings in force, and over these `env`. It runs
    in a session of its own with nothing on stdin: a Ctrl-C in the terminal reaches it through this library only.

    Attributes:
        stream_output: Whether to pass on what it prints; otherwise it prints into the null device.
        working_dir: The folder it runs in. None: a temporary one, removed at the end.

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

    @field_validator("detached")
    @classmethod
    def _refuse_detached(cls, value: bool) -> bool:
        if value:
            raise ValueError("detached=True: this version cannot yet run a process that outlives its agent")
        return value

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

    def _create(self, settings: ProcessSettings) -> Workload:
        if sys.platform != "linux":
            return PortableProcess(settings, self.name)
        from infrablocks.process._watch import StartedProcess  # noqa: PLC0415 (only Linux can import it)

        return StartedProcess(settings, self.name)

    def _find(self, identifier: str) -> Workload:
        if sys.platform != "linux":
            raise UnsupportedOperation(
                f"kill and status find a process by its pid on Linux only, not on {sys.platform}."
            )
        from infrablocks.process._watch import FoundProcess  # noqa: PLC0415 (only Linux can import it)

        return FoundProcess(identifier)

    def _reattach(self, identifier: str, after: str | None) -> NoReturn:  # noqa: ARG002
        raise UnsupportedOperation("Process.attach needs detached=True, which this version does not have yet.")
