"""Watch records: files that say which workloads the agents of this machine watch, so that `reap` leaves those alone.

`$INFRABLOCKS_HOME/watches/` (default `~/.infrablocks/watches/`) holds one empty file for each watch. Its name says all:
which workload is watched, and by which process. So a record is there as a whole or not at all. It is made before the
workload is, and removed when the watching ends; that of an agent which has died counts for nothing.

The file `.id` names the folder. A workload carries that name: of its agents something can be known only here.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from infrablocks._home import library_home
from infrablocks.exceptions import InfrastructureNotAvailable

logger = logging.getLogger("infrablocks")

_ID_FILE = ".id"
_FIELDS = 6
_numbers = itertools.count()


class WatchRecord:
    """The record of one watch. `remove` is for its end, in a worker thread.

    Attributes:
        agent_host: Where something can be known of its agent; None where the record could not be written.
    """

    def __init__(self, key: str) -> None:
        folder = _folder()
        self.agent_host: str | None = None
        self._path = f"{folder}/{_name(key)}"
        try:
            try:
                self._write(folder)
            except FileNotFoundError:  # somebody has removed the folder
                _agent_host.cache_clear()
                self._write(folder)
        except OSError as error:
            logger.warning("A watch cannot be recorded; `reap` does not touch what is made by it (%s)", error)

    def remove(self) -> None:
        """Remove the record; it may be gone already."""
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 (every run comes by here: a Path takes longer than the file)

    def _write(self, folder: str) -> None:
        agent_host = _agent_host(folder)
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.agent_host = agent_host


def agent_host() -> str | None:
    """Say where something can be known of the agents that write their records here; None: they cannot write any.

    Blocks.
    """
    try:
        return _agent_host(_folder())
    except OSError:
        return None


def watched_keys(key: str | None = None, *, other_hosts: bool = False) -> set[str]:
    """Give the keys of the workloads that agents watch, and remove the records of agents that have died. Blocks.

    Args:
        key: Which one to look for; None: all.
        other_hosts: Whether agents of other machines and containers, of whom nothing can be known here, are taken for
            dead.

    Raises:
        InfrastructureNotAvailable: The records cannot be read.
    """
    folder = _folder()
    try:
        names = os.listdir(folder)  # noqa: PTH208 (there may be thousands)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InfrastructureNotAvailable(
            f"What agents watch cannot be known: {folder} cannot be read: {error}"
        ) from error
    keys: set[str] = set()
    for name in names:
        if key is not None and not name.startswith(f"{key}~"):
            continue
        watch = _read(name)
        if watch is None:
            continue
        is_alive = watch.agent_is_alive()
        if is_alive or (is_alive is None and not other_hosts):
            keys.add(watch.key)
        elif is_alive is False:
            with suppress(OSError):
                Path(folder, name).unlink()
    return keys


class _Watch(NamedTuple):
    """What the name of a record says."""

    key: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_time: int

    def agent_is_alive(self) -> bool | None:
        """Say whether the agent lives; None where that cannot be known."""
        here = _place()
        if self.boot_id != here.boot_id:
            return False if self.host == here.host else None
        if self.pid_namespace != here.pid_namespace:
            return None
        return _start_time(self.pid) == self.start_time


class _Place(NamedTuple):
    """What the pids of this process are counted in."""

    host: str
    boot_id: str
    pid_namespace: str


@cache
def _place() -> _Place:
    if sys.platform != "linux":
        return _Place(_safe(socket.gethostname()), "0", "0")
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (not a path: "pid:[4026531836]")
    return _Place(_safe(socket.gethostname()), boot_id, "".join(filter(str.isdigit, namespace)))


def _name(key: str) -> str:
    return f"{key}~{_name_of_agent(os.getpid())}~{next(_numbers)}"


@cache
def _name_of_agent(pid: int) -> str:
    here = _place()
    return f"{here.host}~{here.boot_id}~{here.pid_namespace}~{pid}~{_start_time(pid) or 0}"


def _read(name: str) -> _Watch | None:
    fields = name.split("~")[:_FIELDS]
    if len(fields) < _FIELDS:
        return None
    key, host, boot_id, namespace, pid, start_time = fields
    if not (pid.isdecimal() and start_time.isdecimal()):
        return None
    return _Watch(key, host, boot_id, namespace, int(pid), int(start_time))


def _start_time(pid: int) -> int | None:
    """Say when a process started, in ticks since the boot; None: there is none. 0 where only Linux could tell."""
    if sys.platform != "linux":
        return _start_time_elsewhere(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may hold blanks and brackets itself.
    state, *rest = text[text.rindex(b")") + 2 :].split()
    return None if state in {b"Z", b"X"} else int(rest[18])


def _start_time_elsewhere(pid: int) -> int | None:
    if sys.platform != "win32":  # where the call would end the process
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
    return 0


def _folder() -> str:
    return f"{library_home()}/watches"


@cache
def _agent_host(folder: str) -> str:
    """Give the name of a folder and of this machine, both of which are as they are for as long as the folder is."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    file = path / _ID_FILE
    if not file.exists():
        draft = path / f"{_ID_FILE}-{os.getpid()}-{next(_numbers)}"
        draft.touch(0o600)
        draft.write_text(os.urandom(16).hex())
        with suppress(FileExistsError):
            file.hardlink_to(draft)  # of many who do this at once one is first, and nobody reads half of it
        draft.unlink()
    return f"{socket.gethostname()}/{file.read_text()}"


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in text)
