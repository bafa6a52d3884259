"""How long it takes to get the result of a run that has ended, in turn with the bare calls of the API.

The bare calls are those that say how it went and what it printed, made with the SDK: of a container, inspect and logs;
of a Job, read, its pods, and the log of the pod.

Arguments: the file for the figures, "docker" or "kubernetes", "alone" or "busy", how often, and the namespace. An agent
that is busy watches another workload, and so is connected, and the client of the bare calls is kept; otherwise both
connect each time.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import docker
from kubernetes import client, config

from benchmarks.scripts.library import check, docker_block, hand_over, kubernetes_block

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 2
COMMAND = ["echo", "done"]
LONG = ["sleep", "3600"]
SETTLE_SECONDS = 1.0


class DockerCalls:
    """The calls about a container."""

    def __init__(self) -> None:
        self._api = docker.APIClient(os.environ["DOCKER_HOST"], version="auto")

    def make(self, identifier: str) -> None:
        """Make them."""
        container = identifier.rpartition(":")[2]
        status = self._api.inspect_container(container)["State"]["ExitCode"]
        expect(status == 0 and self._api.logs(container) == b"done\n")

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


class KubernetesCalls:
    """The calls about a Job."""

    def __init__(self) -> None:
        self._api: Any = config.new_client_from_config()  # type: ignore[no-untyped-call]
        self._jobs: Any = client.BatchV1Api(self._api)
        self._core: Any = client.CoreV1Api(self._api)

    def make(self, identifier: str) -> None:
        """Make them."""
        _, namespace, name = identifier.split(":")
        job = self._jobs.read_namespaced_job(name, namespace)
        pods = self._core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items
        log = self._core.read_namespaced_pod_log(pods[-1].metadata.name, namespace)
        expect(job.status.succeeded == 1 and log == "done\n")

    def close(self) -> None:
        """Close the connections."""
        self._api.rest_client.pool_manager.clear()
        self._api.close()


def expect(found: object) -> None:
    """End the script unless the calls gave what the run did.

    Raises:
        SystemExit: They have not.
    """
    if not found:
        raise SystemExit("the bare calls give something else")


async def measured(block: Any, calls: Callable[[], Any], count: int, *, keep: bool) -> dict[str, float]:
    """Attach and make the calls in turn, and give the medians of both in seconds, the first ones left out."""
    result = await block.run(output=lambda _stream, _line: None)
    check("infrablocks", result)
    times: dict[str, list[float]] = {"calls": [], "attach": []}
    kept = calls() if keep else None
    for _ in range(count + WARM_UP):
        started = time.perf_counter()
        made = kept or calls()
        made.make(result.identifier)
        if kept is None:
            made.close()
        times["calls"].append(time.perf_counter() - started)
        started = time.perf_counter()
        again = await block.attach(result.identifier, output=lambda _stream, _line: None)
        times["attach"].append(time.perf_counter() - started)
        check("infrablocks", again)
    if kept is not None:
        kept.close()
    return {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}


_BACK_ENDS: dict[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "docker": (partial(docker_block, "infrablocks", on_cancel="kill", grace_seconds=0), DockerCalls),
    "kubernetes": (partial(kubernetes_block, "infrablocks", on_cancel="kill", grace_seconds=0), KubernetesCalls),
}


async def main() -> None:
    """Measure and hand over."""
    path, back_end, way, count, namespace = sys.argv[1:]
    make, calls = _BACK_ENDS[back_end]
    make = partial(make, namespace=namespace) if back_end == "kubernetes" else make
    other = asyncio.create_task(make(command=LONG).run()) if way == "busy" else None
    await asyncio.sleep(SETTLE_SECONDS)
    figures = await measured(make(command=COMMAND), calls, int(count), keep=other is not None)
    hand_over(path, figures)
    if other is not None:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
