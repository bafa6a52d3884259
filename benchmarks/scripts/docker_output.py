"""How long a container takes that prints files of lines, passed on to this script's stdout.

Arguments: the file for the figures, the library, a file of lines, and how often to print it.
"""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.scripts.library import docker_block, hand_over


async def main() -> None:
    """Measure one run and hand over its seconds."""
    path, library, lines, copies = sys.argv[1:]
    await docker_block(library, command=["true"]).run()
    block = docker_block(library, command=["cat", *["/lines.txt"] * int(copies)], volumes=[f"{lines}:/lines.txt:ro"])
    started = time.perf_counter()
    result = await block.run()
    seconds = time.perf_counter() - started
    if result.status_code != 0:
        raise SystemExit(f"the run failed: {result}")
    hand_over(path, {"seconds": seconds})


if __name__ == "__main__":
    asyncio.run(main())
