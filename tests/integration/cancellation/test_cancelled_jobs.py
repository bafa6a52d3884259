"""A run of a Job that is cancelled at any of its checkpoints: nothing unreported is left, nothing half-made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from infrablocks import KubernetesClusterConfig, KubernetesJob
from tests.cancellation.checkpoints import Held, Reported, cancelled_at
from tests.reap.agents import watches

if TYPE_CHECKING:
    from tests.cancellation.checkpoints import Way
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio, pytest.mark.timeout(240)]

BATCH = 8


class Attempt:
    """One run that is cancelled at one checkpoint."""

    def __init__(self, number: int, config: KubernetesClusterConfig, namespace: str, **fields: Any) -> None:
        self.number = number
        self.reported = Reported()
        self.has_reached = False
        self._block = KubernetesJob(
            image="busybox:test",
            image_pull_policy="IfNotPresent",
            command=["sh", "-c", "echo running"],
            env={"PREFECT_API_KEY": "secret"},
            namespace=namespace,
            cluster_config=config,
            grace_seconds=0,
            **fields,
        )

    async def run(self, way: Way) -> None:
        """Run and cancel it."""
        self.has_reached = await cancelled_at(
            self.number, lambda: self._block.run(self.reported, output=lambda _stream, _line: None), way
        )


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize("way", ["scope", "task"])
async def test_cancelled_at_each_checkpoint(
    cluster: Kubernetes, kubernetes_namespace: str, anyio_backend: str, way: Way, on_cancel: Literal["kill", "leave"]
) -> None:
    """Whichever checkpoint it is: what was not reported is gone, what was is killed or goes on, as was told."""
    if way == "task" and anyio_backend != "asyncio":
        pytest.skip("only asyncio cancels a task without a scope")
    path = f"/apis/batch/v1/namespaces/{kubernetes_namespace}/jobs"

    def jobs() -> list[str]:
        return sorted(item["metadata"]["name"] for item in cluster.api("GET", path)["items"])

    assert await anyio.to_thread.run_sync(jobs) == []
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, cluster.kubeconfig)
    held = Held()
    attempts: list[Attempt] = []
    while all(attempt.has_reached for attempt in attempts):
        count = len(attempts)
        batch = [
            Attempt(count + number, config, kubernetes_namespace, on_cancel=on_cancel) for number in range(1, BATCH + 1)
        ]
        async with anyio.create_task_group() as tasks:
            for attempt in batch:
                tasks.start_soon(attempt.run, way)
        attempts += batch
    there = await anyio.to_thread.run_sync(jobs)
    reported = [attempt for attempt in attempts if attempt.reported.identifier is not None]
    expected = [
        str(attempt.reported.identifier).rpartition(":")[2]
        for attempt in reported
        if on_cancel == "leave" or not attempt.has_reached
    ]
    assert 3 < sum(attempt.has_reached for attempt in attempts) < len(attempts)
    if on_cancel == "kill":
        # One that ended just before its run was cancelled stays, as any that has ended.
        assert set(there) <= {str(attempt.reported.identifier).rpartition(":")[2] for attempt in reported}
        assert set(expected) <= set(there)
    else:
        assert there == sorted(expected)
    await anyio.to_thread.run_sync(held.wait_until_let_go)
    assert (watches(), await anyio.to_thread.run_sync(jobs)) == ([], there)
