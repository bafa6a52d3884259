"""Runs of `true` in containers, one after the other, whose requests somebody counts.

Arguments: the file for the figures, the library, "streaming" or "quiet", and how many runs.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.scripts.library import docker_block, hand_over


async def main() -> None:
    """Make the runs."""
    path, library, way, runs = sys.argv[1:]
    for _ in range(int(runs)):
        block = docker_block(library, command=["true"], auto_remove=True, stream_output=way == "streaming")
        result = await block.run()
        # The other library asks about containers that the engine has removed already.
        if result.status_code != 0 and library == "infrablocks":
            raise SystemExit(f"the run failed: {result}")
    hand_over(path, {})


if __name__ == "__main__":
    asyncio.run(main())
