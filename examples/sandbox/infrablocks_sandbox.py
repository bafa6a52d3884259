"""A back end of infrablocks: a command of this machine, without a network.

Each run has a folder, in which are its output, its exit code at the end, and a file that is locked while it runs.
"""

import fcntl
import os
import shlex
import signal
import subprocess
import time
import uuid
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

import anyio
from anyio import to_thread
from pydantic import Field, SecretStr

from infrablocks import (
    Infrastructure,
    InfrastructureNotFound,
    InfrastructureResult,
    InvalidSettings,
    Output,
    Reason,
    Workload,
    WorkloadStatus,
)

# A shell that handles SIGTERM goes on after it: the exit code is the command's own.
_SCRIPT = """
trap : TERM
folder=$1; shift
echo $$ >"$folder/pid"
"$@" </dev/null
echo $? >"$folder/code.new"; mv "$folder/code.new" "$folder/code"
"""


class SandboxResult(InfrastructureResult):
    """How a command in the sandbox ended."""


class Sandboxed(Workload):
    """A command that runs in the sandbox, or has."""

    def __init__(self, folder: Path) -> None:
        self.identifier = folder.name
        self._folder = folder
        self._copied: dict[str, int] = {"stdout": 0, "stderr": 0}

    async def watch(self, output: Output) -> SandboxResult:
        """Copy the output until the command has ended."""
        ended = False
        while not ended:
            ended = not await to_thread.run_sync(self.is_running)
            await self.copy_log(output)
            await anyio.sleep(0.02)
        await output.finish()
        return await to_thread.run_sync(self._result)

    async def copy_log(self, output: Output) -> None:
        """Copy what it has printed since the last time."""
        await output.write("stdout", await to_thread.run_sync(self._new, "stdout"))
        await output.write("stderr", await to_thread.run_sync(self._new, "stderr"))

    async def kill(self, grace_seconds: float) -> None:
        """End it and all that it has started."""
        await to_thread.run_sync(self._end, grace_seconds)

    async def status(self) -> WorkloadStatus:
        """Say where it stands."""
        if await to_thread.run_sync(self.is_running):
            return WorkloadStatus.RUNNING
        return WorkloadStatus.SUCCEEDED if await to_thread.run_sync(self._code) == 0 else WorkloadStatus.FAILED

    def is_running(self) -> bool:
        """Say whether the command has yet to end."""
        return not (self._folder / "code").exists() and self._is_locked()

    def _is_locked(self) -> bool:
        with (self._folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _new(self, stream: str) -> bytes:
        with (self._folder / stream).open("rb") as file:
            file.seek(self._copied[stream])
            data = file.read()
        self._copied[stream] += len(data)
        return data

    def _code(self) -> int:
        try:
            return int((self._folder / "code").read_text())
        except FileNotFoundError:
            return -signal.SIGKILL  # nothing else ends the shell

    def _result(self) -> SandboxResult:
        code = self._code()
        reasons = {0: Reason.COMPLETED, -signal.SIGKILL: Reason.KILLED}
        code_file = self._folder / "code"
        return SandboxResult(
            identifier=self.identifier,
            status_code=code,
            reason=reasons.get(code, Reason.ERROR),
            message=f"{(self._folder / 'name').read_text()} in the sandbox has ended with status code {code}.",
            created_at=_time_of(self._folder / "lock"),
            started_at=_time_of(self._folder / "pid"),
            finished_at=_time_of(code_file) if code_file.exists() else None,
        )

    def _end(self, grace_seconds: float) -> None:
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 30)):
            deadline = time.monotonic() + seconds
            if self._is_locked():
                with suppress(ProcessLookupError):
                    os.killpg(int((self._folder / "pid").read_text()), number)
            while self._is_locked() and time.monotonic() < deadline:
                time.sleep(0.02)


class Sandbox(Infrastructure):
    """Run a command without a network."""

    _block_type_name: ClassVar[str | None] = "Sandbox"
    _block_type_slug: ClassVar[str | None] = "sandbox"
    _default_on_cancel: ClassVar[Literal["kill", "leave"]] = "kill"

    type: Literal["sandbox"] = "sandbox"
    folder: Path = Field(default_factory=lambda: Path("~/.infrablocks/sandbox").expanduser())

    def preview(self) -> str:
        """Show the variables and the command; secrets are masked."""
        variables = [f"{name}={self._shown(name, value)}" for name, value in self.env.items() if value is not None]
        return shlex.join(["env", *variables, *self._build()])

    def _shown(self, name: str, value: str | SecretStr) -> str:
        return value if isinstance(value, str) and not self._holds_secret(("env", name)) else "********"

    def _build(self) -> list[str]:
        if not self.command:
            raise InvalidSettings("Sandbox cannot be run with an empty command: give `command` at least a program.")
        return ["unshare", "--map-root-user", "--net", *self.command]

    def _create(self, settings: list[str]) -> Sandboxed:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir(parents=True)
        (folder / "name").write_text(self.name or self.command[0])
        (folder / "pid").touch()
        with ExitStack() as stack:
            lock, out, err = (stack.enter_context((folder / name).open("w")) for name in ("lock", "stdout", "stderr"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            # It gets the lock and keeps it: that is freed when the last process of the run has ended.
            command = ["setsid", "--fork", "sh", "-c", _SCRIPT, "sh", str(folder), *settings]
            environment = self._environment()
            subprocess.run(command, check=True, env=environment, pass_fds=[lock.fileno()], stdout=out, stderr=err)
        sandboxed = Sandboxed(folder)
        while sandboxed.is_running() and not (folder / "pid").read_text():
            time.sleep(0.001)
        return sandboxed

    def _environment(self) -> dict[str, str]:
        variables = {**self._inherited_environment(), **self._base_environment(), **self.env}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in variables.items()
            if value is not None
        }

    def _find(self, identifier: str) -> Sandboxed:
        folder = self.folder / identifier
        if not identifier.isalnum() or not folder.exists():
            raise InfrastructureNotFound(f"There is no run {identifier!r} in {self.folder}.")
        return Sandboxed(folder)

    def _reattach(self, identifier: str, after: object) -> Sandboxed:  # noqa: ARG002 (the base leaves out what came)
        return self._find(identifier)


def _time_of(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
