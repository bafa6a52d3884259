"""What it costs to watch many Jobs to which nothing happens, attached to as an agent does that takes them over.

Arguments: the file for the figures, how many, for how many seconds, and the namespace, where Jobs run long enough.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from benchmarks.scripts.library import hand_over, kubernetes_block

WINDOW_SECONDS = 1.0
SETTLED_LOAD = 0.05
MOST_WINDOWS = 240
START_SECONDS = 600


class Identifier:
    """Stands in for anyio's `TaskStatus` and keeps what it is told."""

    def __init__(self) -> None:
        self.known: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def started(self, value: object = None) -> None:
        """Keep it."""
        self.known.set_result(str(value))


async def identifiers(block: Any, count: int) -> list[str]:
    """Make workloads, and stop watching them once all have been made; some may have ended by then."""
    begun = await asyncio.gather(*(_begin(block) for _ in range(count)))
    for _, run in begun:
        run.cancel()
    await asyncio.gather(*(run for _, run in begun), return_exceptions=True)
    return [identifier for identifier, _ in begun]


async def _begin(block: Any) -> tuple[str, asyncio.Task[Any]]:
    given = Identifier()
    run = asyncio.create_task(block.run(task_status=given))
    await asyncio.wait([run, given.known], return_when="FIRST_COMPLETED")
    if not given.known.done():
        await run
        raise SystemExit("a run ended without telling its identifier")
    return given.known.result(), run


async def settle() -> None:
    """Wait for a second in which this program does next to nothing."""
    for _ in range(MOST_WINDOWS):
        cpu = time.process_time()
        await asyncio.sleep(WINDOW_SECONDS)
        if time.process_time() - cpu < SETTLED_LOAD * WINDOW_SECONDS:
            return
    raise SystemExit("it never comes to rest")


async def main() -> None:
    """Measure, and hand over how much of a processor is used."""
    path, count, seconds, namespace = sys.argv[1:]
    block = kubernetes_block(
        "infrablocks",
        command=["true"],
        namespace=namespace,
        stream_output=False,
        pod_watch_timeout_seconds=START_SECONDS,
        on_cancel="leave",
    )
    names = await identifiers(block, int(count))
    started = time.perf_counter()
    attached = [asyncio.create_task(block.attach(name)) for name in names]
    await settle()
    settled = time.perf_counter() - started
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(float(seconds))
    load = (time.process_time() - cpu) / (time.perf_counter() - started)
    if ended := [task for task in attached if task.done()]:
        raise SystemExit(f"{len(ended)} are not watched any more: {ended[0].result()}")
    hand_over(path, {"load": load, "settled": settled})
    for task in attached:
        task.cancel()
    await asyncio.gather(*attached, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
