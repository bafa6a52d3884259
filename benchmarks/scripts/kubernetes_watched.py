"""Many Jobs that run at the same time, watched in one event loop without streaming, on fake nodes.

Arguments: the file for the figures, the library, how many, "frozen" (gc.freeze() is called after a first run, so that
the garbage collector does not go over what was loaded by then) or "not", and the namespace.

Figures: `connections` to other machines and `threads` of this program while all of them run; `cpu`, the seconds of the
processors that this program took for each; the others as in `many_runs`.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
import time

from benchmarks.scripts.connections import open_connections
from benchmarks.scripts.library import hand_over, kubernetes_block
from benchmarks.scripts.many_runs import Runs

START_SECONDS = 600


class WatchedRuns(Runs):
    """Runs that are looked at when all of them are there."""

    connections = 0
    threads = 0

    def all_run(self) -> None:
        """Count."""
        self.connections, self.threads = open_connections(socket.AF_INET), threading.active_count()


async def main() -> None:
    """Measure and hand over."""
    path, library, count, frozen, namespace = sys.argv[1:]
    block = kubernetes_block(
        library, command=["true"], namespace=namespace, stream_output=False, pod_watch_timeout_seconds=START_SECONDS
    )
    await Runs(lambda: block, 1).to_the_end()
    gc.collect()
    if frozen == "frozen":
        gc.freeze()
    runs = WatchedRuns(lambda: block, int(count))
    started, cpu = time.perf_counter(), time.process_time()
    await runs.to_the_end()
    hand_over(
        path,
        {
            "seconds": time.perf_counter() - started,
            "cpu": (time.process_time() - cpu) / int(count),
            "stall": runs.stall,
            "bytes": runs.grown,
            "connections": runs.connections,
            "threads": runs.threads,
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
