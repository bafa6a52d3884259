"""What tests ask of real processes, and a sink that keeps what they print."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# So long nothing takes that is not broken, also on a machine that has several times as much to do as it has processors.
WAIT_SECONDS = 120.0


class Lines(list[tuple[str, str]]):
    """A sink that keeps what it gets."""

    def __call__(self, stream: str, line: str) -> None:
        self.append((stream, line))

    def text(self, stream: str = "stdout") -> str:
        """Give the whole text of one stream."""
        return "".join(line for name, line in self if name == stream)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until another process has done something; fails after a while."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {WAIT_SECONDS} s"
        time.sleep(0.005)


def record_is_written() -> bool:
    """Say whether a process has its run record."""
    return any(Path(os.environ["INFRABLOCKS_HOME"], "runs").glob("*.json"))


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def _stat(pid: int) -> list[str]:
    """Read the state, the parent and so on of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def children() -> set[int]:
    """Give the pids of this process's children, those that nobody has waited for included."""
    return {
        pid for name in os.listdir("/proc") if name.isdigit() and _stat(pid := int(name))[1:2] == [str(os.getpid())]
    }


def open_files() -> int:
    """Count the open files of this process.

    What a test before left may be closed meanwhile: compare with `<=`.
    """
    return len(os.listdir("/proc/self/fd"))


def read_numbers(path: Path, count: int) -> list[int]:
    """Wait until a file holds so many numbers, one a line, and read them."""

    def numbers() -> list[int]:
        try:
            return [int(line) for line in path.read_text().splitlines()]
        except (FileNotFoundError, ValueError):
            return []

    wait_until(lambda: len(numbers()) >= count)
    return numbers()
