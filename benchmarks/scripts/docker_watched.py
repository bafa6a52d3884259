"""Many containers that run at the same time, watched in one event loop without streaming.

They wait at a gate, a FIFO that is opened once all of them run: making them takes the engine so long that no sleep
would keep the first until the last is there.

Arguments: the file for the figures, the library, how many, and a folder for the gate.

Figures: `connections` to the engine and `threads` of this program while all of them run; the others as in `many_runs`.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scripts.connections import open_connections
from benchmarks.scripts.library import docker_block, hand_over
from benchmarks.scripts.many_runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = (1, 3)  # one by itself: the other library's first uses must not come together
KNOCK_SECONDS = 0.1


class Gate:
    """What the containers wait at.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        self.path.unlink(missing_ok=True)
        os.mkfifo(self.path)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._hold_open)

    def open(self) -> None:
        """Let everybody through, also who comes later."""
        self._thread.start()

    def close(self) -> None:
        """End the thread that holds it open."""
        self._done.set()
        self._thread.join()

    def _hold_open(self) -> None:
        while not self._done.wait(KNOCK_SECONDS):
            try:
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody waits
                    raise


class WatchedRuns(Runs):
    """Runs that are let through the gate when all of them wait there."""

    def __init__(self, block: Callable[[], Any], count: int, gate: Gate) -> None:
        super().__init__(block, count)
        self._gate = gate
        self._began = time.perf_counter()
        self.connections = 0
        self.threads = 0
        self.made_seconds = 0.0

    def all_run(self) -> None:
        """Count, and open the gate."""
        self.connections, self.threads = open_connections(socket.AF_UNIX), threading.active_count()
        self.made_seconds = time.perf_counter() - self._began
        self._gate.open()


async def main() -> None:
    """Measure and hand over."""
    path, library, count, folder = sys.argv[1:]
    plain = partial(docker_block, library, auto_remove=False, stream_output=False, network_mode="none")
    for number in WARM_UP:
        await Runs(partial(plain, command=["true"]), number).to_the_end()
    gate = Gate(Path(folder))
    gc.collect()
    block = partial(plain, command=["cat", "/gate"], volumes=[f"{gate.path}:/gate"])
    runs = WatchedRuns(block, int(count), gate)
    started = time.perf_counter()
    await runs.to_the_end()
    gate.close()
    hand_over(
        path,
        {
            "seconds": time.perf_counter() - started,
            "made": runs.made_seconds,
            "stall": runs.stall,
            "bytes": runs.grown,
            "connections": runs.connections,
            "threads": runs.threads,
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
