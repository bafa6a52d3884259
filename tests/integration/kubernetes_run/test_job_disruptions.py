"""Jobs whose pods come to an unusual end, which only fake nodes bring about on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks._results import Reason, WorkloadStatus
from tests.engines import fake_scripts, fake_statuses
from tests.engines.fake_nodes import FakeNodes
from tests.integration.kubernetes_run.driving import Identifier, Jobs, Lines, in_pod, run_all, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrablocks.base import InfrastructureResult
    from infrablocks.kubernetes import KubernetesJob
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def played(jobs: Jobs, nodes: FakeNodes, **script: Any) -> KubernetesJob:
    """Give a block whose pod a fake node plays."""
    changes = in_pod(**nodes.pod_settings)
    told = {
        "op": "add",
        "path": "/spec/template/metadata/annotations",
        "value": fake_scripts.annotations(log_lines=0, **script),
    }
    return jobs.block("played", customizations=[*changes, told])


async def test_ends(cluster: Kubernetes, jobs: Jobs) -> None:
    """Evicted, out of memory, killed or failing with a message: code and reason are the cluster's."""
    with FakeNodes(cluster) as nodes:
        blocks = {
            "evicted": played(jobs, nodes, end="evicted", message="The node was low on resource: memory."),
            "memory": played(jobs, nodes, end="oom-killed"),
            "message": played(jobs, nodes, exit_codes=[3], message="no such table"),
            "deleted": played(jobs, nodes, end="deleted"),
            "pull": played(jobs, nodes, waiting="ErrImageNeverPull", waiting_message="not present"),
        }
        stories = await run_all(blocks)
    assert {name: story.summary[:2] for name, story in stories.items() if name != "deleted"} == {
        "evicted": (-1, "Evicted"),
        "memory": (137, "OOMKilled"),
        "message": (3, "Error"),
        "pull": (-1, "ImagePull"),
    }
    code, reason, _ = stories["deleted"].summary
    assert (code != 0, reason) in {(True, "Removed"), (True, "Killed"), (True, "Error")}
    words = {
        "evicted": "The node was low on resource: memory.",
        "memory": "raise `memory_limit`",
        "message": "no such table",
        "deleted": "was deleted",
        "pull": "not present",
    }
    assert {name: story.message for name, story in stories.items() if words[name] not in story.message} == {}
    assert _known_times(stories["evicted"].result) == ["created_at", "finished_at"]


@pytest.mark.nightly("it waits most of a minute for the cluster's controllers; what they do then is in the gate")
async def test_node_is_lost(cluster: Kubernetes, jobs: Jobs) -> None:
    """A run whose node falls silent and is then removed ends, with the cluster's word on that."""
    await _lose_node(cluster, jobs, lambda nodes: nodes.remove())


async def test_pod_of_lost_node(cluster: Kubernetes, jobs: Jobs) -> None:
    """A run whose pod is given up like those of lost nodes ends, with the cluster's word on that."""
    await _lose_node(cluster, jobs, lambda _: _collect_garbage(jobs))


def _collect_garbage(jobs: Jobs) -> None:
    """Do at once what the cluster's collector of pods does some time after a node has gone."""
    (name,) = jobs.named("pods")
    path = f"/api/v1/namespaces/{jobs.namespace}/pods/{name}"
    conditions = jobs.cluster.api("GET", path)["status"]["conditions"]
    conditions.append(
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": fake_statuses.now(),
        }
    )
    jobs.cluster.api("PATCH", f"{path}/status", {"status": {"phase": "Failed", "conditions": conditions}})
    jobs.delete("pods", name, gracePeriodSeconds=0)


async def _lose_node(cluster: Kubernetes, jobs: Jobs, then: Callable[[FakeNodes], None]) -> None:
    told, results = Identifier(), list["InfrastructureResult"]()
    with FakeNodes(cluster) as nodes:
        block = played(jobs, nodes, end="never")

        async def run() -> None:
            results.append(await block.run(told, output=Lines()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            identifier = await told.get()
            await until(lambda: jobs.pod_phases() == ["Running"])
            assert await block.status(identifier) is WorkloadStatus.RUNNING
            nodes.lose()
            await anyio.to_thread.run_sync(then, nodes)
    assert [(result.status_code, result.reason) for result in results] == [(-1, Reason.EVICTED)]
    assert _known_times(results[0]) == ["created_at", "started_at", "finished_at"]


def _known_times(result: InfrastructureResult | None) -> list[str]:
    """Name the times that are told, which come one after the other."""
    assert result is not None
    times = {name: getattr(result, name) for name in ("created_at", "started_at", "finished_at")}
    known = {name: moment for name, moment in times.items() if moment is not None}
    assert sorted(known.values()) == list(known.values())
    return list(known)
