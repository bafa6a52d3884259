"""The processes of this machine, as /proc shows them.

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class ProcessEntry(NamedTuple):
    """One process.

    Attributes:
        pid: Its number.
        state: One letter; "Z" and "X" are dead, the former not yet waited for by its parent.
        group: The number of its process group.
        start_time: When it started, in clock ticks since the machine did. Together with the pid and the boot it names a
            process for ever, while a pid alone is used again.
    """

    pid: int
    state: str
    group: int
    start_time: int

    @property
    def is_alive(self) -> bool:
        """Whether it is more than an entry that its parent has yet to read."""
        return self.state not in "ZX"


def process_entry(pid: int) -> ProcessEntry | None:
    """Read the entry of one process; None where there is none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may hold blanks and brackets itself.
    state, _parent, group, *rest = text[text.rindex(b")") + 2 :].split()
    return ProcessEntry(pid, state.decode(), int(group), int(rest[16]))


def boot_id() -> str:
    """Give the number that the kernel drew when this machine started."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def pid_namespace() -> str:
    """Give the name of the numbering that the pids of this process are counted in: containers have their own."""
    return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (not a path: "pid:[4026531836]")


class _Snapshot:
    """All processes by their group. Who asks while they are read shares the next reading: 1,000 runs may be killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, list[ProcessEntry]] = {}
        self._taken_at = -1.0

    def group(self, number: int) -> list[ProcessEntry]:
        asked_at = time.monotonic()
        with self._lock:
            if self._taken_at < asked_at:
                self._taken_at = time.monotonic()
                self._groups = _read_groups()
            return self._groups.get(number, [])


_snapshot = _Snapshot()


def group_members(group: int) -> list[ProcessEntry]:
    """Give the living processes of a process group."""
    return [entry for entry in _snapshot.group(group) if entry.is_alive]


def _read_groups() -> dict[int, list[ProcessEntry]]:
    groups: dict[int, list[ProcessEntry]] = {}
    for name in os.listdir(_PROC):  # noqa: PTH208 (a thousand Path objects a scan)
        if name.isdigit() and (entry := process_entry(int(name))) is not None:
            groups.setdefault(entry.group, []).append(entry)
    return groups
