"""How long it takes from the cancellation of a run until its processes have ended, and until the run is over.

The command ignores SIGTERM, so that the whole grace period passes. Its processes are looked for on this machine, where
the engines and the node of the test tooling run.

Arguments: the file for the figures, the back end ("process", "detached", "docker" or "kubernetes"), how often, the
grace period, for how long a run goes on before it is cancelled, and the namespace.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubernetes import client, config

from benchmarks.scripts.library import IMAGE, docker_block, hand_over, kubernetes_block, process_block
from infrablocks.exceptions import InfrastructureNotFound

POLL_SECONDS = 0.05
PROCESS_POLL_SECONDS = 0.01
MARK = f"infrablocks-benchmark-{uuid.uuid4().hex}"
COMMAND = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done", MARK]


def make_block(back_end: str, namespace: str, **fields: Any) -> Any:
    """Make the block."""
    given = {"command": COMMAND, "on_cancel": "kill", **fields}
    match back_end:
        case "process":
            return process_block("infrablocks", **given)
        case "detached":
            return process_block("infrablocks", detached=True, **given)
        case "docker":
            return docker_block("infrablocks", **given)
        case _:
            return kubernetes_block("infrablocks", namespace=namespace, **given)


class Started:
    """Stands in for anyio's `TaskStatus` and keeps the identifier."""

    identifier: Any = None

    def started(self, value: object = None) -> None:
        """Keep it."""
        self.identifier = value


async def seconds_until_gone(block: Any, runs_for: float) -> tuple[float, float]:
    """Start it, cancel it some time after it prints, and give when its processes had ended, and the run was over.

    Raises:
        SystemExit: The workload ends by itself, or something of it is still there when the run is over.
    """
    loop, ready, status = asyncio.get_running_loop(), asyncio.Event(), Started()
    run = asyncio.create_task(
        block.run(task_status=status, output=lambda _stream, _line: loop.call_soon_threadsafe(ready.set))
    )
    await asyncio.wait([run, waiting := asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    if run.done():
        raise SystemExit(f"it has ended by itself: {run.result()}")
    await waiting
    await asyncio.sleep(runs_for)
    pids = marked_processes()
    if not pids:
        raise SystemExit("no process of the workload is seen on this machine")
    began = time.perf_counter()
    ended = asyncio.create_task(asyncio.to_thread(wait_until_ended, pids))
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    over = time.perf_counter()
    await expect_gone(block, status.identifier)
    return await ended - began, over - began


def marked_processes() -> list[int]:
    """Give the pids of this machine's processes that have our mark among their arguments."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_marked(int(path.name))]


def is_marked(pid: int) -> bool:
    """Say whether a process is there and has our mark; one that has ended and was not yet waited for has none."""
    try:
        return MARK.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_ended(pids: list[int]) -> float:
    """Give the time at which the last of these processes had ended."""
    while any(map(is_marked, pids)):
        time.sleep(PROCESS_POLL_SECONDS)
    return time.perf_counter()


async def expect_gone(block: Any, identifier: Any) -> None:
    """End the script if something of the workload is still there.

    Raises:
        SystemExit: It is.
    """
    if pids := marked_processes():
        raise SystemExit(f"it still runs: {pids}")
    with suppress(InfrastructureNotFound):
        found = await block.status(identifier)
        if found in {"Pending", "Running"}:
            raise SystemExit(f"it is still there: {found}")


def pod_seconds(namespace: str, grace: int) -> float:
    """Give how long a bare pod of the same command takes from its deletion until it is gone."""
    config.load_kube_config()  # type: ignore[no-untyped-call]
    api: Any = client.CoreV1Api()
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": COMMAND}
    pod = {"metadata": {"generateName": "bare-"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    name = api.create_namespaced_pod(namespace, pod).metadata.name
    while api.read_namespaced_pod(name, namespace).status.phase != "Running" or not api.read_namespaced_pod_log(
        name, namespace
    ):
        time.sleep(POLL_SECONDS)
    began = time.perf_counter()
    api.delete_namespaced_pod(name, namespace, grace_period_seconds=grace)
    while api.list_namespaced_pod(namespace, field_selector=f"metadata.name={name}").items:
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - began


async def main() -> None:
    """Measure, and hand over the longest and the middle times."""
    path, back_end, count, grace, runs_for, namespace = sys.argv[1:]
    block = make_block(back_end, namespace, grace_seconds=float(grace))
    times = [await seconds_until_gone(block, float(runs_for)) for _ in range(int(count))]
    gone, over = zip(*times, strict=True)
    figures = {"gone": statistics.median(gone), "over": statistics.median(over), "over_longest": max(over)}
    if back_end == "kubernetes":
        bare = [await asyncio.to_thread(pod_seconds, namespace, int(float(grace))) for _ in range(int(count))]
        figures["bare"] = statistics.median(bare)
    hand_over(path, figures)


if __name__ == "__main__":
    asyncio.run(main())
