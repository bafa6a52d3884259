"""The tooling of the engines knows when a process has ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.engines.processes import ProcessRecord, stat_of
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# As after SIGKILL, when the first thread is the first to end: what the process has open is closed by the last one.
ENDS_ITS_FIRST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(300,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is killed at the end."""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            yield process
        finally:
            process.kill()


def state(pid: int) -> str:
    """The letter by which the kernel tells the state of a process."""
    fields = stat_of(pid)
    return fields[0] if fields else ""


def test_a_process_has_ended_when_all_its_threads_have() -> None:
    """It looks like a zombie as soon as its first thread has ended, and can be waited for and ended nevertheless."""
    with running(ENDS_ITS_FIRST_THREAD) as process:
        record = ProcessRecord.of(process.pid)
        wait_until(lambda: state(process.pid) == "Z")
        assert not record.wait(0)

        record.signal(signal.SIGKILL)

        assert record.wait(WAIT_SECONDS)
        assert process.wait() == -signal.SIGKILL


def test_a_zombie_has_ended() -> None:
    """A process that nobody has waited for yet is no longer alive, and waiting for it takes no time."""
    with running("import time; time.sleep(300)") as process:
        record = ProcessRecord.of(process.pid)
        assert record.is_alive()
        assert not record.wait(0)
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: state(process.pid) == "Z")
        assert record.wait(0)
        assert not record.is_alive()
        record.stop(grace=0)
