"""Many processes that sleep, started at once in one event loop.

Arguments: the file for the figures, the library, how many, and how many seconds each sleeps.

Figures: `seconds` until all have ended; `stall`, the worst lateness of a task of the same loop that wakes every 5 ms;
`bytes`, by how much the resident memory of this program had grown, for each process, half a second after the last one
was reported (not a number where some had ended by then). A few runs beforehand load what is loaded at the first use.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scripts.library import hand_over, process_block

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_SECONDS = 0.005
SETTLE_SECONDS = 0.5
WARM_UP = 10


def resident_bytes() -> int:
    """Give the memory that this program holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Started:
    """Stands in for anyio's `TaskStatus` and counts the processes that are reported."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self.all = asyncio.Event()

    def started(self, _identifier: object = None) -> None:
        """Count one."""
        self._missing -= 1
        if self._missing == 0:
            self.all.set()


class Runs:
    """Runs of equal blocks, started at once.

    Args:
        block: Makes one of the blocks.
        count: How many.
    """

    def __init__(self, block: Callable[[], Any], count: int) -> None:
        self._block = block
        self._count = count
        self._started = Started(count)
        self._ended = 0
        self.stall = 0.0
        self.grown = math.nan

    async def to_the_end(self) -> None:
        """Start all and wait for all."""
        before = resident_bytes()
        watchers = [asyncio.create_task(self._tick()), asyncio.create_task(self._watch_memory(before))]
        await asyncio.sleep(2 * TICK_SECONDS)
        async with asyncio.TaskGroup() as runs:
            for _ in range(self._count):
                runs.create_task(self._one())
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    async def _one(self) -> None:
        result = await self._block().run(task_status=self._started)
        self._ended += 1
        if result.status_code != 0:
            raise SystemExit(f"a run failed: {result}")

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.stall = max(self.stall, time.perf_counter() - due)

    async def _watch_memory(self, before: int) -> None:
        await self._started.all.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        if self._ended == 0:
            self.grown = (resident_bytes() - before) / self._count
        self.all_run()

    def all_run(self) -> None:
        """Do what is to be done while all of them run."""


async def main() -> None:
    """Measure and hand over."""
    path, library, count, seconds = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    await Runs(partial(process_block, library, command=["sleep", "0"]), WARM_UP).to_the_end()
    gc.collect()
    runs = Runs(partial(process_block, library, command=["sleep", seconds]), int(count))
    started = time.perf_counter()
    await runs.to_the_end()
    hand_over(path, {"seconds": time.perf_counter() - started, "stall": runs.stall, "bytes": runs.grown})


if __name__ == "__main__":
    asyncio.run(main())
