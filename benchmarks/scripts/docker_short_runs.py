"""How long one container takes that runs `true`, in turn with `docker run --rm` and with the bare calls of the API.

The bare calls are those that a run needs, made with the SDK's low-level client, which is connected beforehand: create,
attach, start, read, wait, inspect, remove.

Arguments: the file for the figures, the library, and how many runs.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import docker

from benchmarks.scripts.library import IMAGE, LABEL, docker_block, hand_over

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = ["true"]
WARM_UP = 2
CLIENT = ["docker", "run", "--rm", "--pull", "never", "--label", f"{LABEL}=1", IMAGE, *COMMAND]


def run_by_client() -> None:
    """Have the docker command line run it."""
    subprocess.run(
        CLIENT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
    )


def run_by_calls(api: docker.APIClient) -> None:
    """Make the calls of a run."""
    container = api.create_container(IMAGE, COMMAND, labels={LABEL: "1"})["Id"]
    output = api.attach(container, stream=True)
    api.start(container)
    for _ in output:
        pass
    api.wait(container)
    status = api.inspect_container(container)["State"]["ExitCode"]
    api.remove_container(container, v=True)
    if status != 0:
        raise SystemExit(f"a container ended with {status}")


def timed(function: Callable[[], object]) -> float:
    """Call a function and give the seconds that it took."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


async def main() -> None:
    """Measure, and hand over the medians in seconds, the first runs left out."""
    path, library, runs = sys.argv[1:]
    times: dict[str, list[float]] = {"client": [], "calls": [], "block": []}
    api = docker.APIClient(os.environ["DOCKER_HOST"], version="auto")
    for _ in range(int(runs) + WARM_UP):
        times["client"].append(timed(run_by_client))
        times["calls"].append(timed(lambda: run_by_calls(api)))
        started = time.perf_counter()
        result = await docker_block(library, command=COMMAND, auto_remove=True).run()
        times["block"].append(time.perf_counter() - started)
        # The other library asks about containers that the engine has removed already.
        if result.status_code != 0 and library == "infrablocks":
            raise SystemExit(f"the run failed: {result}")
    api.close()
    hand_over(path, {name: statistics.median(values[WARM_UP:]) for name, values in times.items()})


if __name__ == "__main__":
    asyncio.run(main())
