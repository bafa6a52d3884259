"""A time limit and a cancellation end a workload that does not want to end soon after the grace period."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import DockerContainer, Infrastructure, KubernetesClusterConfig, KubernetesJob, Process, Reason
from tests.engines import images, require
from tests.integration.own_containers import use_engine
from tests.processes import Lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.anyio, pytest.mark.timeout(120)]

# It prints nothing after its first line, and only SIGKILL ends it.
DEAF = ["sh", "-c", "trap '' TERM; echo running; while :; do sleep 0.05; done"]
GRACE_SECONDS = 2
# How late it may be on a busy machine; the benchmarks measure how late it is on a quiet one.
LATE_SECONDS = 4
# What a node takes after the grace period until the pod is gone, of which we know no more than it tells the cluster.
NODE_SECONDS = 6


class Case:
    """A block whose command does not want to end, and how long a kill of it may take."""

    def __init__(self, block: Infrastructure, seconds: float) -> None:
        self.block = block
        self.seconds = seconds


@pytest.fixture(params=["process", "detached process", "docker20", "docker29", "podman", "kubernetes"])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    """Each back end in turn."""
    fields: dict[str, Any] = {"command": DEAF, "grace_seconds": GRACE_SECONDS, "on_cancel": "kill"}
    match str(request.param):
        case "process" | "detached process" as name:
            return Case(Process(**fields, detached=name != "process"), GRACE_SECONDS + LATE_SECONDS)
        case "kubernetes":
            config = KubernetesClusterConfig.from_file(request.getfixturevalue("runner").kubeconfig)
            namespace = request.getfixturevalue("kubernetes_namespace")
            image = {"image": "busybox:test", "image_pull_policy": "IfNotPresent"}
            block = KubernetesJob(**fields, **image, namespace=namespace, cluster_config=config)
            return Case(block, GRACE_SECONDS + LATE_SECONDS + NODE_SECONDS)
        case engine:
            use_engine(require(engine).docker_host, monkeypatch, tmp_path)  # type: ignore[attr-defined]
            return Case(DockerContainer(**fields, image=images.BUSYBOX, auto_remove=True), GRACE_SECONDS + LATE_SECONDS)


async def test_time_limit(case: Case) -> None:
    """A silent workload is killed on time, for the reason that is in the result."""
    limit = 8 if isinstance(case.block, KubernetesJob) else 2
    output = Lines()
    begun = time.monotonic()
    result = await case.block.model_copy(update={"timeout_seconds": limit}).run(output=output)
    took = time.monotonic() - begun - limit
    assert (result.reason, bool(result), output) == (Reason.DEADLINE_EXCEEDED, False, [("stdout", "running\n")])
    assert GRACE_SECONDS - 0.5 < took < case.seconds


async def test_cancel(case: Case) -> None:
    """A cancelled run returns when its workload is gone, which is on time."""
    seen = Lines()
    begun = 0.0
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await case.block.run(output=seen)

            tasks.start_soon(run)
            while not seen:  # noqa: ASYNC110 - the output is written by a thread
                await anyio.sleep(0.01)
            begun = time.monotonic()
            tasks.cancel_scope.cancel()
    took = time.monotonic() - begun
    assert GRACE_SECONDS - 0.5 < took < case.seconds
