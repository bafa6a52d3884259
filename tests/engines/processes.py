"""Start processes that outlive us, remember them, and stop exactly those and no others.

A pid alone is not enough: by the time somebody calls ``down`` it may belong to another program. A record therefore
holds the boot and the start time too, and every signal goes through a pidfd that was opened before they were compared.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeGuard

from tests.engines.errors import EngineError, tail
from tests.engines.limits import PATIENCE
from tests.engines.paths import STATE_VARIABLE

# Daemons get no variables of the caller's: a proxy or a DOCKER_HOST would change what they do.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# All that a run of CI starts has its id, and knows which state directory it belongs to: see .ci/machine.py.
_MARKS = ("INFRABLOCKS_CI_RUN", STATE_VARIABLE)

# The shell ends at once, so that init is the parent: nobody here has to reap, and no zombie looks alive.
_LAUNCH = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


# Where `stat_of` has the start time, in clock ticks since boot.
_STARTED = 19


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def stat_of(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on, see proc_pid_stat(5); None for one that is gone."""
    try:
        # The field before these is the program's name in parentheses and may hold anything, parentheses too.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _is_zombie(fields: list[str]) -> bool:
    return fields[0] in "ZX"


@dataclass(frozen=True)
class ProcessRecord:
    """One process, recognisable after its pid was reused or the machine was restarted."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Describe a running process.

        Raises:
            ProcessLookupError: There is none of that pid.
        """
        fields = stat_of(pid)
        if fields is None or _is_zombie(fields):
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, int(fields[_STARTED]), _boot_id())

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a pid file; None if there is none or it was cut short."""
        try:
            pid, started, boot = path.read_text().split()
            return cls(int(pid), int(started), boot)
        except (FileNotFoundError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Write a pid file, whole or not at all."""
        unfinished = path.with_name(path.name + ".new")
        unfinished.write_text(f"{self.pid} {self.started} {self.boot}\n")
        unfinished.rename(path)

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        fields = stat_of(self.pid)
        return self._has(fields) and not _is_zombie(fields)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process is gone."""
        with self._pidfd() as descriptor, contextlib.suppress(ProcessLookupError):
            if descriptor is not None:
                signal.pidfd_send_signal(descriptor, number)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the process; tell whether it came."""
        with self._pidfd() as descriptor:
            if descriptor is None:
                return True
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(seconds * 1000))

    def stop(self, grace: float) -> None:
        """End the process: TERM, then KILL after the grace period. Safe to call twice.

        Raises:
            EngineError: It survived even KILL, which is a matter for the kernel.
        """
        self.signal(signal.SIGTERM)
        if self.wait(grace):
            return
        self.signal(signal.SIGKILL)
        if not self.wait(PATIENCE):
            raise EngineError(f"process {self.pid} survived SIGKILL; see /proc/{self.pid}/stack")

    def _has(self, fields: list[str] | None) -> TypeGuard[list[str]]:
        """Tell whether what `stat_of` gives is of this process."""
        return fields is not None and int(fields[_STARTED]) == self.started and self.boot == _boot_id()

    @contextlib.contextmanager
    def _pidfd(self) -> Iterator[int | None]:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Compared after opening: from here on the descriptor cannot come to mean another process. A zombie counts,
            # as its other threads may run on, with all that it has open; only the descriptor knows when they end.
            yield descriptor if self._has(stat_of(self.pid)) else None
        finally:
            os.close(descriptor)


def pids_of_session(leader: ProcessRecord | None) -> list[int]:
    """Return the processes of a session; none if its leader has ended."""
    if leader is None or not leader.is_alive():
        return []
    pids = [int(process.name) for process in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (fields := stat_of(pid)) is not None and int(fields[3]) == leader.pid]


def launch(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, inherit: Sequence[int] = ()
) -> ProcessRecord:
    """Start a program in a session of its own, its output appended to a log, its input the null device.

    Args:
        command: The program and its arguments.
        log: The file for both of its output streams.
        environment: All of its variables but PATH, which is the system's unless given.
        inherit: Open descriptors which the program gets under the same numbers.

    Raises:
        EngineError: It ended at once.
    """
    marks = {name: os.environ[name] for name in _MARKS if name in os.environ}
    shell = subprocess.run(
        ["sh", "-c", _LAUNCH, "sh", str(log), *command],
        env={"PATH": SYSTEM_PATH, **marks, **(environment or {})},
        pass_fds=inherit,
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        return ProcessRecord.of(int(shell.stdout))
    except ProcessLookupError as error:
        raise EngineError(f"{command[0]} ended at once; {tail(log)}") from error


def only_child(parent: ProcessRecord, log: Path) -> ProcessRecord:
    """Return the one child of a program that forks once and waits, such as unshare and nsenter.

    Raises:
        EngineError: The parent ended, or has no child.
    """
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while parent.is_alive() and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in children.read_text().split():
                return ProcessRecord.of(int(pid))
        time.sleep(0.005)
    raise EngineError(f"process {parent.pid} has no child; {tail(log)}")
