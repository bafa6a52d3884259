"""What `.ci/run` wants of a machine, that it runs alone on it, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pythons import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "INFRABLOCKS_CI_RUN"
"""All that a run starts has this variable: its id, after those of the runs that it belongs to, joined by colons."""

STATE = "INFRABLOCKS_ENGINES_STATE"

_GIGABYTE = 10**9
_TO_BUILD, _TO_RUN = 15, 4
_LONGEST_STATE_PATH = 60  # because of the sockets below it, see tests/engines/paths.py
_END_SECONDS = 60.0
_ENVIRONMENTS = (".venv", ".venv-test", ".nox")


@dataclass(frozen=True)
class Run:
    """One run of the gate.

    Attributes:
        reports: Where sessions, engines and pytest leave what is told at the end.
    """

    reports: Path
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which its processes are found."""
        return {RUN: ":".join(filter(None, [os.environ.get(RUN), self.id]))}


def missing_on_this_machine(*, all_sessions: bool) -> list[str]:
    """Return what is missing, a line each.

    Args:
        all_sessions: Whether the engines are wanted.
    """
    problems = []
    if all_sessions:
        if os.geteuid() != 0:
            problems.append("only root can start the engines of the integration tests")
        if shutil.which("go") is None:
            problems.append("no Go, from whose modules engines are built; install it and put it in PATH")
    cache = cache_directory()
    needed = _TO_RUN if not all_sessions or list(cache.glob("kubernetes-*")) else _TO_BUILD
    if len(state_directory()) > _LONGEST_STATE_PATH:
        problems.append(f"{STATE} may have {_LONGEST_STATE_PATH} characters: {state_directory()}")
    places = {_existing(cache), _existing(Path(state_directory())), Path(tempfile.gettempdir()), Path.cwd()}
    free = {place: shutil.disk_usage(place).free / _GIGABYTE for place in sorted(places)}
    full = [f"{place} has {space:.1f} GB free" for place, space in free.items() if space < needed]
    return problems + [f"{text}, and {needed} GB are needed" for text in full]


def state_directory() -> str:
    """Return the state directory of the engines, as tests/engines/paths.py has it."""
    return os.environ.get(STATE) or "/tmp/infrablocks-engines"  # noqa: S108 (short enough for sockets)


@contextlib.contextmanager
def exclusive_run(root: Path) -> Iterator[Run]:
    """Be the only run on this machine, and clean up after one that was killed.

    Args:
        root: The checkout.

    Raises:
        RuntimeError: Another one runs.
    """
    # In one place for all runs, so that one that was killed leaves no other.
    run = Run(reports=Path(f"{_base()}.reports"))
    with _lock_file().open("a+") as lock:
        if os.fstat(lock.fileno()).st_uid != os.getuid():
            raise RuntimeError(f"{lock.name} is somebody else's; remove it")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"another .ci/run works on this machine ({_described(_read(lock))}); wait for its end"
            raise RuntimeError(text) from error
        if earlier := _read(lock):
            sys.stdout.write(f"=== an earlier .ci/run was killed ({_described(earlier)}): ending what it left\n")
            sys.stdout.flush()
            clean_up(earlier["id"], root)
            if earlier["checkout"] == str(root):  # an environment that is half made would never be mended
                for name in _ENVIRONMENTS:
                    shutil.rmtree(root / name, ignore_errors=True)
        _write(lock, json.dumps({"id": run.id, "pid": os.getpid(), "checkout": str(root)}))
        shutil.rmtree(run.reports, ignore_errors=True)
        run.reports.mkdir()
        try:
            yield run
        finally:
            clean_up(run.id, root)
            shutil.rmtree(run.reports, ignore_errors=True)
            _write(lock, "")


def clean_up(run: str, root: Path, grace_seconds: float = 10) -> None:
    """End all processes of a run, and what they held: mounts, namespaces, interfaces and control groups.

    Args:
        run: Its id.
        root: The checkout.
        grace_seconds: How long the processes may take to end by themselves.
    """
    begun = time.monotonic()
    states: set[str] = set()
    asked: set[int] = set()
    unseen = 0
    while unseen < 2:  # noqa: PLR2004 - one look may miss a process whose program begins: it has no variables yet
        processes = _processes_of(run)
        unseen = 0 if processes else unseen + 1
        states |= {state for state in processes.values() if state}
        passed = time.monotonic() - begun
        if processes and passed > grace_seconds + _END_SECONDS:
            sys.stdout.write(f"=== processes that SIGKILL does not end: {sorted(processes)}\n")
            break
        if passed > grace_seconds:
            for pid in processes:
                _signal(pid, run, signal.SIGKILL)
        for pid in set(processes) - asked:  # once: a second one would end what the first one has begun
            _signal(pid, run, signal.SIGTERM)
            asked.add(pid)
        time.sleep(0.2)
    for state in states:
        environment = {**os.environ, STATE: state}
        subprocess.run([sys.executable, "-m", "tests.engines", "down"], cwd=root, env=environment, check=False)
        if state != state_directory():  # a test's own
            shutil.rmtree(state, ignore_errors=True)


def _processes_of(run: str) -> dict[int, str | None]:
    """Return the processes of a run, each with the state directory of the engines that it belongs to."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        variables = _variables(int(process.name))
        if run in variables.get(RUN, "").split(":"):
            found[int(process.name)] = variables.get(STATE)
    return found


def _variables(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:  # it has ended, or is somebody else's
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def _signal(pid: int, run: str, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            # Looked at once more: from here on the descriptor cannot come to mean another process.
            if run in _variables(pid).get(RUN, "").split(":"):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _existing(path: Path) -> Path:
    """Return the nearest directory that exists."""
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def _lock_file() -> Path:
    return Path(f"{_base()}.lock")


def _base() -> str:
    # Beside the engines' state directory: whoever has one of his own has a lock of his own.
    return f"{state_directory()}-ci-{os.getuid()}"


def _read(lock: IO[str]) -> dict[str, str]:
    """Return what a run has written there; nothing if it was cut short, or is not what a run writes."""
    lock.seek(0)
    try:
        record = json.loads(lock.read())
        found = {name: str(record[name]) for name in ("id", "pid", "checkout")}
    except (ValueError, KeyError, TypeError):
        return {}
    return found if re.fullmatch("[0-9a-f]{32}", found["id"]) else {}


def _described(record: dict[str, str]) -> str:
    return f"process {record.get('pid')} in {record.get('checkout')}"


def _write(lock: IO[str], text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()
