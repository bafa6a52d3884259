"""How long one run of `true` takes, in turn with `subprocess.run` of it in the same interpreter.

`subprocess.run` is called in three ways: with its output captured; without; and with all that a block does as well, in
a session and a temporary folder of its own and with nothing on stdin.

Arguments: the file for the figures, the library, "loop" or "script", and how many runs.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from benchmarks.scripts.library import hand_over, process_block

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = ["true"]
WARM_UP = 5


def timed(function: Callable[[], object]) -> float:
    """Call a function and give the seconds that it took."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def run_alike() -> None:
    """Run the command with the duties of a block."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            COMMAND,
            capture_output=True,
            check=True,
            cwd=directory,
            env=dict(os.environ),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )


class Times:
    """The times of the ways to run a command."""

    def __init__(self) -> None:
        self.piped: list[float] = []
        self.plain: list[float] = []
        self.alike: list[float] = []
        self.block: list[float] = []

    def measure_subprocess(self) -> None:
        """Time `subprocess.run` in its three ways."""
        self.piped.append(timed(lambda: subprocess.run(COMMAND, capture_output=True, check=True)))
        self.plain.append(timed(lambda: subprocess.run(COMMAND, check=True)))
        self.alike.append(timed(run_alike))

    def figures(self) -> dict[str, float]:
        """Give the medians, the first runs left out."""
        names = ("piped", "plain", "alike", "block")
        return {name: statistics.median(getattr(self, name)[WARM_UP:]) for name in names}


async def in_loop(library: str, runs: int, times: Times) -> None:
    """Await the runs in one event loop."""
    for _ in range(runs + WARM_UP):
        times.measure_subprocess()
        started = time.perf_counter()
        result = await process_block(library, command=COMMAND).run()
        times.block.append(time.perf_counter() - started)
        if result.status_code != 0:
            raise SystemExit(f"the run failed: {result}")


def in_script(library: str, runs: int, times: Times) -> None:
    """Call the runs from a plain script, where each has a loop of its own."""
    for _ in range(runs + WARM_UP):
        times.measure_subprocess()
        times.block.append(timed(lambda: process_block(library, command=COMMAND).run()))


def main() -> None:
    """Measure and hand over the medians in seconds."""
    path, library, way, runs = sys.argv[1:]
    times = Times()
    if way == "loop":
        asyncio.run(in_loop(library, int(runs), times))
    else:
        in_script(library, int(runs), times)
    hand_over(path, times.figures())


if __name__ == "__main__":
    main()
