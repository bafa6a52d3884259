"""Jobs whose pods come to an unusual end, which only fake nodes bring about on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks._results import Reason, WorkloadStatus
from tests.engines import fake_scripts
from tests.engines.fake_nodes import FakeNodes
from tests.integration.kubernetes_run.driving import Identifier, Jobs, Lines, in_pod, run_all, until

if TYPE_CHECKING:
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


@pytest.mark.timeout(150)
async def test_node_is_lost(cluster: Kubernetes, jobs: Jobs) -> None:
    """A run whose node falls silent and is then removed ends, with the cluster's word on that."""
    told, results = Identifier(), []
    with FakeNodes(cluster) as nodes:
        block = played(jobs, nodes, end="never")

        async def run() -> None:
            results.append(await block.run(told, output=Lines()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            identifier = await told.get()
            await until(lambda: _is_running(jobs))
            assert await block.status(identifier) is WorkloadStatus.RUNNING
            nodes.lose()
            nodes.remove()
    assert [(result.status_code, result.reason) for result in results] == [(-1, Reason.EVICTED)]
    assert _known_times(results[0]) == ["created_at", "started_at", "finished_at"]


def _known_times(result: InfrastructureResult | None) -> list[str]:
    """Name the times that are told, which come one after the other."""
    assert result is not None
    times = {name: getattr(result, name) for name in ("created_at", "started_at", "finished_at")}
    known = {name: moment for name, moment in times.items() if moment is not None}
    assert sorted(known.values()) == list(known.values())
    return list(known)


def _is_running(jobs: Jobs) -> bool:
    listed = jobs.cluster.api("GET", f"/api/v1/namespaces/{jobs.namespace}/pods")["items"]
    return [pod["status"].get("phase") for pod in listed] == ["Running"]
