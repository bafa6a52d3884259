"""Runs of `true` in containers, all at once: how many of them succeed, and how long all of them take.

Arguments: the file for the figures, the library, how many runs, "threads" (each calls `run` in a thread of its own) or
"tasks" (all are awaited in one loop), and the name that all containers ask for. Without a name the runs are the first
uses of the library in this interpreter; with one, a run was made before.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

from benchmarks.scripts.library import docker_block, hand_over


class Runs:
    """Runs that begin together.

    Attributes:
        succeeded: How many have ended well so far.
    """

    def __init__(self, blocks: list[Any]) -> None:
        self._blocks = blocks
        self._together = threading.Barrier(len(blocks))
        self.succeeded = 0

    def in_threads(self) -> None:
        """Make each run in a thread."""
        threads = [threading.Thread(target=self._in_thread, args=[block]) for block in self._blocks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def in_tasks(self) -> None:
        """Make each run in a task."""
        results = await asyncio.gather(*(block.run() for block in self._blocks), return_exceptions=True)
        for result in results:
            self._note(result)

    def _in_thread(self, block: Any) -> None:
        self._together.wait()
        try:
            self._note(block.run())
        except Exception as error:  # noqa: BLE001 (that is what is counted)
            self._note(error)

    def _note(self, result: Any) -> None:
        if isinstance(result, BaseException):
            print(f"{type(result).__name__}: {result}"[:300], file=sys.stderr)
        elif result.status_code == 0:
            self.succeeded += 1


def main() -> None:
    """Measure and hand over."""
    path, library, count, way, *name = sys.argv[1:]
    given: dict[str, Any] = {"command": ["true"], "network_mode": "none"}
    if name:
        docker_block(library, **given).run()
        given["name"] = name[0]
    runs = Runs([docker_block(library, **given) for _ in range(int(count))])
    started = time.perf_counter()
    if way == "threads":
        runs.in_threads()
    else:
        asyncio.run(runs.in_tasks())
    hand_over(path, {"succeeded": runs.succeeded, "seconds": time.perf_counter() - started})


if __name__ == "__main__":
    main()
