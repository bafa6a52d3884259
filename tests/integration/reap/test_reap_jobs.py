"""Jobs that agents leave behind are found, removed and ended; what is watched, or is not ours, is left alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import KubernetesClusterConfig, KubernetesJob, ReapedWorkload, WorkloadStatus
from infrablocks._watch_records import agent_host
from infrablocks.kubernetes._settings import HOST_ANNOTATION, RUN_LABEL
from tests.cli.command_line import CommandLine
from tests.processes import WAIT_SECONDS
from tests.reap.agents import agent, killed_agent, watches

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.kubernetes import Kubernetes

pytestmark = pytest.mark.integration


class Namespace:
    """A namespace of the test's own, and what is in it."""

    def __init__(self, cluster: Kubernetes, name: str) -> None:
        self.cluster = cluster
        self.name = name
        config = KubernetesClusterConfig.from_file(cluster.kubeconfig)
        self.block = KubernetesJob(namespace=name, cluster_config=config, stream_output=False)

    def forever(self, script: str = "trap exit TERM; while :; do sleep 0.05; done") -> str:
        """Give an expression for a block with a secret variable."""
        return (
            f"KubernetesJob(image='busybox:test', image_pull_policy='IfNotPresent', command=['sh', '-c', {script!r}], "
            f"namespace={self.name!r}, env={{'PREFECT_API_KEY': 'x'}}, stream_output=False, "
            f"cluster_config=KubernetesClusterConfig.from_file({str(self.cluster.kubeconfig)!r}))"
        )

    def reap(self, **options: Any) -> list[tuple[str, WorkloadStatus, str]]:
        """Reap, and give what is the same each time."""
        reaped: tuple[ReapedWorkload, ...] = self.block.reap(**options)
        return [(one.identifier, one.status, one.action) for one in reaped]

    def left(self) -> dict[str, int]:
        """Count what is there."""
        paths = {"jobs": "/apis/batch/v1", "pods": "/api/v1", "secrets": "/api/v1"}
        return {
            kind: len(self.cluster.api("GET", f"{group}/namespaces/{self.name}/{kind}")["items"])
            for kind, group in paths.items()
        }

    def left_at_last(self) -> dict[str, int]:
        """Count what is there once the node has tidied up after pods that have ended, and the cluster after Jobs."""
        deadline = time.monotonic() + WAIT_SECONDS
        while any((left := self.left()).values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    async def wait_for(self, identifier: str, status: WorkloadStatus) -> None:
        """Wait until a Job stands so."""
        with anyio.fail_after(WAIT_SECONDS):
            while await self.block.status(identifier) is not status:  # noqa: ASYNC110
                await anyio.sleep(0.2)


@pytest.fixture
def namespace(cluster: Kubernetes, kubernetes_namespace: str) -> Namespace:
    """A namespace of the test's own."""
    return Namespace(cluster, kubernetes_namespace)


NOTHING = {"jobs": 0, "pods": 0, "secrets": 0}


def test_what_a_killed_agent_leaves_behind(namespace: Namespace) -> None:
    """A Job whose agent was killed goes on until `kill` is given, which ends it and takes its pod and Secret away."""
    job = killed_agent(namespace.forever())
    anyio.run(namespace.wait_for, job, WorkloadStatus.RUNNING)
    assert namespace.reap(dry_run=True, kill=True) == [(job, WorkloadStatus.RUNNING, "would kill")]
    assert namespace.reap() == [(job, WorkloadStatus.RUNNING, "left")]
    assert namespace.left() == {"jobs": 1, "pods": 1, "secrets": 1}
    assert namespace.reap(kill=True, grace_seconds=1) == [(job, WorkloadStatus.RUNNING, "killed")]
    assert (namespace.left_at_last(), watches(), namespace.reap(kill=True)) == (NOTHING, [], [])


def test_what_has_ended(namespace: Namespace) -> None:
    """A Job that has ended after its agent is removed without `kill`."""
    job = killed_agent(namespace.forever("exit 0"))
    anyio.run(namespace.wait_for, job, WorkloadStatus.SUCCEEDED)
    assert namespace.reap() == [(job, WorkloadStatus.SUCCEEDED, "removed")]
    assert namespace.left_at_last() == NOTHING


def test_what_is_watched_is_left_alone(namespace: Namespace) -> None:
    """A Job that an agent watches, be it by `run` or by `attach`, is no business of `reap`."""
    with agent(namespace.forever()) as (_, job):
        assert namespace.reap(kill=True) == []
    anyio.run(_reap_while_attached, namespace, job)
    assert [(identifier, action) for identifier, _, action in namespace.reap(kill=True, grace_seconds=1)] == [
        (job, "killed")
    ]


async def _reap_while_attached(namespace: Namespace, job: str) -> None:
    before = len(watches())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(namespace.block.attach, job)
        with anyio.fail_after(WAIT_SECONDS):
            while len(watches()) <= before:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert tuple(await namespace.block.reap(kill=True)) == ()
        tasks.cancel_scope.cancel()


def _job(name: str, labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:test", "imagePullPolicy": "IfNotPresent", "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def test_what_is_not_ours_is_left_alone(namespace: Namespace) -> None:
    """Neither Jobs without our label nor those of other users and machines are touched, unless that is said."""
    path = f"/apis/batch/v1/namespaces/{namespace.name}/jobs"
    for body in (
        _job("foreign", {}, {}),
        _job("unmarked", {RUN_LABEL: "a"}, {}),
        _job("other", {RUN_LABEL: "b"}, {HOST_ANNOTATION: "elsewhere/0"}),
    ):
        namespace.cluster.api("POST", path, body)
    assert namespace.reap(kill=True) == []
    reaped = namespace.reap(kill=True, other_hosts=True)
    assert sorted((identifier.split(":")[2], action) for identifier, _, action in reaped) == [
        ("other", "killed"),
        ("unmarked", "killed"),
    ]
    assert namespace.left()["jobs"] == 1


def test_a_secret_without_its_job(namespace: Namespace) -> None:
    """A Secret of ours whose Job is not there is removed; that of somebody else is not."""
    path = f"/api/v1/namespaces/{namespace.name}/secrets"
    for name, labels, host in (("ours", {RUN_LABEL: "a"}, agent_host()), ("foreign", {}, agent_host())):
        metadata = {"name": name, "labels": labels, "annotations": {HOST_ANNOTATION: host}}
        namespace.cluster.api("POST", path, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    ((identifier, status, action),) = namespace.reap()
    assert (identifier.split(":")[2], status, action) == ("secrets/ours", WorkloadStatus.PENDING, "removed")
    assert [item["metadata"]["name"] for item in namespace.cluster.api("GET", path)["items"]] == ["foreign"]


def test_the_command(namespace: Namespace, tmp_path: Path) -> None:
    """The command prints a line for each Job of the namespace."""
    command_line = CommandLine(tmp_path, KUBECONFIG=str(namespace.cluster.kubeconfig))
    job = killed_agent(namespace.forever())
    outcome = command_line(
        *("reap", "--type", "kubernetes-job", "--namespace", namespace.name, "--kill", "--grace-seconds", "1")
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    identifier, _, done = outcome.stdout.rstrip("\n").split("\t")
    assert (identifier, done) == (job, "killed")
    assert namespace.left_at_last() == NOTHING
