"""A run of a Job that is cancelled at any of its checkpoints: nothing unreported is left, nothing half-made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from infrablocks import KubernetesClusterConfig, KubernetesJob
from tests.cancellation.checkpoints import Held, Reported, cancelled_at
from tests.processes import wait_until
from tests.reap.agents import watches

if TYPE_CHECKING:
    from tests.cancellation.checkpoints import Way
    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

BATCH = 8
TOO_MANY_JOBS = pytest.mark.nightly("some fifty Jobs each time; that one is left, the kit shows in the gate")


@pytest.fixture
def anyio_backend() -> str:
    """Starting and ending a Job takes seconds; that both event loops work, the other back ends show."""
    return "asyncio"


class Attempt:
    """One run that is cancelled at one checkpoint."""

    def __init__(
        self, number: int, cluster: Kubernetes, config: KubernetesClusterConfig, namespace: str, **fields: Any
    ) -> None:
        self.number = number
        self.goes_on = False
        self._cluster = cluster
        self.reported = Reported()
        self.has_reached = False
        self._block = KubernetesJob(
            image="busybox:test",
            image_pull_policy="IfNotPresent",
            command=["sh", "-c", "echo running; sleep 3"],
            env={"PREFECT_API_KEY": "secret"},
            namespace=namespace,
            cluster_config=config,
            grace_seconds=0,
            **fields,
        )

    async def run(self, way: Way) -> None:
        """Run and cancel it, and look whether its Job goes on when that has returned."""
        self.has_reached = await cancelled_at(
            self.number, lambda: self._block.run(self.reported, output=lambda _stream, _line: None), way
        )
        if self.reported.identifier is not None:
            self.goes_on = await anyio.to_thread.run_sync(self._goes_on)

    @property
    def job_name(self) -> str:
        """The name of the reported Job."""
        return str(self.reported.identifier).split(":")[2]

    def _goes_on(self) -> bool:
        """Say whether the Job is there and has not ended."""
        return any(
            job["metadata"]["name"] == self.job_name and not job["status"].get("conditions")
            for job in jobs_of(self._cluster, str(self._block.namespace))
        )


def jobs_of(cluster: Kubernetes, namespace: str) -> list[dict[str, Any]]:
    """Give the Jobs of a namespace."""
    return list(cluster.api("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"])


def secrets_of_no_job(cluster: Kubernetes, namespace: str) -> list[str]:
    """Give the Secrets whose Job is not there: none was made for them, or the cluster has not yet tidied up."""
    uids = {job["metadata"]["uid"] for job in jobs_of(cluster, namespace)}
    secrets = cluster.api("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
    return [
        secret["metadata"]["name"]
        for secret in secrets
        if not uids & {owner["uid"] for owner in secret["metadata"].get("ownerReferences", [])}
    ]


@pytest.mark.parametrize("on_cancel", ["kill", pytest.param("leave", marks=TOO_MANY_JOBS)])
@pytest.mark.parametrize("way", ["scope", pytest.param("task", marks=TOO_MANY_JOBS)])
async def test_cancelled_at_each_checkpoint(
    cluster: Kubernetes,
    runner: Account,
    kubernetes_namespace: str,
    way: Way,
    on_cancel: Literal["kill", "leave"],
) -> None:
    """Whichever checkpoint it is: what was not reported is gone, what was is killed or goes on, as was told."""

    def jobs() -> list[str]:
        return sorted(job["metadata"]["name"] for job in jobs_of(cluster, kubernetes_namespace))

    assert await anyio.to_thread.run_sync(jobs) == []
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, runner.kubeconfig)
    held = Held()
    attempts: list[Attempt] = []
    while all(attempt.has_reached for attempt in attempts):
        count = len(attempts)
        batch = [
            Attempt(count + number, cluster, config, kubernetes_namespace, on_cancel=on_cancel)
            for number in range(1, BATCH + 1)
        ]
        async with anyio.create_task_group() as tasks:
            for attempt in batch:
                tasks.start_soon(attempt.run, way)
        attempts += batch
    there = await anyio.to_thread.run_sync(jobs)
    reported = [attempt for attempt in attempts if attempt.reported.identifier is not None]
    expected = [attempt.job_name for attempt in reported if on_cancel == "leave" or not attempt.has_reached]
    assert 3 < sum(attempt.has_reached for attempt in attempts) < len(attempts)
    if on_cancel == "kill":
        assert [attempt.number for attempt in reported if attempt.goes_on] == []
        # One that ended just before its run was cancelled stays, as any that has ended.
        assert set(there) <= {attempt.job_name for attempt in reported}
        assert set(expected) <= set(there)
    else:
        assert any(attempt.goes_on for attempt in reported)
        assert there == sorted(expected)
    await anyio.to_thread.run_sync(wait_until, lambda: secrets_of_no_job(cluster, kubernetes_namespace) == [])
    await anyio.to_thread.run_sync(held.wait_until_let_go)
    assert (watches(), await anyio.to_thread.run_sync(jobs)) == ([], there)
