"""How long it takes to start many detached processes, to leave them, to attach to all, and to have their results.

Arguments: the file for the figures, how many, and how many seconds each sleeps.
"""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.scripts.agent_idle import identifiers
from benchmarks.scripts.library import check, hand_over, process_block


async def main() -> None:
    """Measure and hand over."""
    path, count, seconds = sys.argv[1:]
    block = process_block("infrablocks", command=["sleep", seconds], detached=True, stream_output=False)
    check("infrablocks", await process_block("infrablocks", command=["true"], detached=True).run())
    begun = time.perf_counter()
    names = await identifiers(block, int(count))
    started = time.perf_counter() - begun
    for result in await asyncio.gather(*(block.attach(name) for name in names)):
        check("infrablocks", result)
    hand_over(path, {"started": started, "seconds": time.perf_counter() - begun})


if __name__ == "__main__":
    asyncio.run(main())
