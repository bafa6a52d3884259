"""Runs on two clusters at the same time, in one program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.kubernetes import KubernetesClusterConfig
from tests.engines import fake_scripts
from tests.engines.fake_nodes import FakeNodes
from tests.integration.kubernetes_run.driving import Jobs, in_pod, run_all

if TYPE_CHECKING:
    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_twenty_runs_on_two_clusters(jobs: Jobs, second_cluster: Cluster) -> None:
    """Of twenty runs that begin at once, ten are on the one cluster and ten on the other, and each has its own end."""
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, second_cluster.kubeconfig)
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster) as nodes:
        others = Jobs(second_cluster, namespace, config)
        script = fake_scripts.annotations(log_lines=0, exit_codes=[4])
        changes = [
            *in_pod(**nodes.pod_settings),
            {"op": "add", "path": "/spec/template/metadata/annotations", "value": script},
        ]
        blocks = {}
        for number in range(10):
            blocks[f"here {number}"] = jobs.block("exit 3", pod_watch_timeout_seconds=300)
            blocks[f"there {number}"] = others.block("played", customizations=changes, pod_watch_timeout_seconds=300)
        stories = await run_all(blocks)
        made = {"here": jobs.named("jobs"), "there": others.named("jobs")}
    assert {name: story.summary[0] for name, story in stories.items()} == {
        name: 3 if name.startswith("here") else 4 for name in blocks
    }
    identifiers = {
        where: [
            story.result.identifier.split(":")
            for name, story in stories.items()
            if story.result is not None and name.startswith(where)
        ]
        for where in made
    }
    assert {where: sorted(parts[2] for parts in found) for where, found in identifiers.items()} == made
    assert {where: len(names) for where, names in made.items()} == {"here": 10, "there": 10}
    clusters = [{parts[0] for parts in found} for found in identifiers.values()]
    assert (len(clusters[0]), len(clusters[1]), len(clusters[0] | clusters[1])) == (1, 1, 2)
