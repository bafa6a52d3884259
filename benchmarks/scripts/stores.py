"""How long it takes to save and to load one block, and to list a thousand, each called from a plain script.

Arguments: the file for the figures, a folder for the store, and how many blocks.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.scripts.library import docker_block, hand_over, process_block

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 5


def median(calls: list[Callable[[], object]]) -> float:
    """Call functions in turn and give the median of their seconds, the first ones left out."""
    times = []
    for call in calls:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def main() -> None:
    """Measure and hand over the medians in seconds."""
    path, home, number = sys.argv[1:]
    os.environ["INFRABLOCKS_HOME"] = home
    names = [f"block-{index}" for index in range(int(number))]
    process = process_block("infrablocks", command=["echo", "hello"], env={"STAGE": "test"}, labels={"team": "data"})
    container = docker_block("infrablocks", env={"STAGE": "test"}, volumes=["/tmp:/data"])
    figures = {
        "save": median([lambda name=name: process.save(name, overwrite=True) for name in names]),  # type: ignore[misc]
        "load": median([lambda name=name: type(process).load(name) for name in names]),  # type: ignore[misc]
        "list": median([type(process).list] * 20),
        "save container": median([lambda: container.save("etl", overwrite=True)] * 200),
        "load container": median([lambda: type(container).load("etl")] * 200),
    }
    if len(type(process).list()) != len(names):
        raise SystemExit("blocks are missing")
    hand_over(path, figures)


if __name__ == "__main__":
    main()
