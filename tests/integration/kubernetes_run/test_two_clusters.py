"""Runs on two clusters at the same time, in one program."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from infrablocks.kubernetes import KubernetesClusterConfig
from tests.engines import fake_scripts
from tests.engines.fake_nodes import FakeNodes
from tests.integration.kubernetes_run.driving import Identifier, Jobs, added, in_pod, run_all

if TYPE_CHECKING:
    from infrablocks.kubernetes import KubernetesJob
    from tests.engines.cluster import Cluster
    from tests.engines.kubernetes import Kubernetes

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


NAMED = [{"op": "add", "path": "/metadata/name", "value": "etl"}, *added(suspend=True)]
"""A Job with a name of its own, of which each namespace and cluster may have one."""


async def left(block: KubernetesJob) -> str:
    """Make a Job, and leave it."""
    told = Identifier()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block.run, told)
        identifier = await told.get()
        tasks.cancel_scope.cancel()
    return identifier


async def test_one_name_on_two_clusters(jobs: Jobs, second_cluster: Cluster) -> None:
    """The identifier of one cluster's Job ends no Job of another cluster that has its namespace and name."""
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, second_cluster.kubeconfig)
    namespace = {"metadata": {"name": jobs.namespace}}
    second_cluster.api("POST", "/api/v1/namespaces", namespace)
    try:
        others = Jobs(second_cluster, jobs.namespace, config)
        here, there = (each.block("true", customizations=NAMED, stream_output=False) for each in (jobs, others))
        identifiers = await left(here), await left(there)
        for block, identifier in ((there, identifiers[0]), (here, identifiers[1])):
            for call in (block.status, block.kill):
                with pytest.raises(InfrastructureNotAvailable, match="which has no Job with the uid"):
                    await call(identifier)
        await here.kill(identifiers[0])
        assert (jobs.named("jobs"), others.named("jobs")) == ([], ["etl"])
    finally:
        second_cluster.api("DELETE", f"/api/v1/namespaces/{jobs.namespace}")


async def test_one_name_one_after_the_other(jobs: Jobs) -> None:
    """The identifier of a Job that is gone ends no later Job of its name, which is told."""
    block = jobs.block("true", customizations=NAMED, stream_output=False)
    first = await left(block)
    await block.kill(first)
    second = await left(block)
    for call in (block.status, block.kill, block.logs, block.attach):
        with pytest.raises(InfrastructureNotFound, match=f"is gone, and another one, with the uid {second[-36:]}, has"):
            await call(first)
    assert jobs.named("jobs") == ["etl"]
    await block.kill(second)


async def test_rotation_of_authorities(cluster: Kubernetes, jobs: Jobs, second_cluster: Cluster) -> None:
    """Identifiers from before an authority was added to the bundle are taken, with and without a uid."""
    identifier = await left(jobs.block("true", customizations=NAMED, stream_output=False))
    config = jobs.config.model_copy(deep=True)
    bundle = cluster.ca_file.read_bytes() + second_cluster.ca_file.read_bytes()
    config.config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(bundle).decode()
    later = Jobs(cluster, jobs.namespace, config).block("true", customizations=NAMED)
    assert str(await later.status(identifier)) == "Pending"
    await later.kill(identifier.rpartition(":")[0])
    assert jobs.named("jobs") == []
