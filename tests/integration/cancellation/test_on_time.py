"""A time limit and a cancellation end a workload that does not want to end soon after the grace period."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import DockerContainer, Infrastructure, KubernetesClusterConfig, KubernetesJob, Process, Reason
from infrablocks._threads import ThreadsafeEvent
from tests.engines import CONTAINER_ENGINES, images, require
from tests.integration.own_containers import use_engine
from tests.movable_time_limit import MovableTimeLimit
from tests.processes import Lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# It prints nothing after its first line, and only SIGKILL ends it.
DEAF = ["sh", "-c", "trap '' TERM; echo running; while :; do sleep 0.05; done"]
GRACE_SECONDS = 1
# The benchmarks measure how late it is. A fault takes the 30 s that every grace period is where none is given, or more.
TOO_LATE_SECONDS = 25


@pytest.fixture(params=["process", "detached process", "kubernetes", *CONTAINER_ENGINES])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Infrastructure:
    """A block of each back end whose command does not want to end."""
    fields: dict[str, Any] = {"command": DEAF, "grace_seconds": GRACE_SECONDS, "on_cancel": "kill"}
    match str(request.param):
        case "process" | "detached process" as name:
            return Process(**fields, detached=name != "process")
        case "kubernetes":
            config = KubernetesClusterConfig.from_file(request.getfixturevalue("runner").kubeconfig)
            namespace = request.getfixturevalue("kubernetes_namespace")
            image = {"image": "busybox:test", "image_pull_policy": "IfNotPresent"}
            return KubernetesJob(**fields, **image, namespace=namespace, cluster_config=config)
        case engine:
            use_engine(require(engine).docker_host, monkeypatch, tmp_path)  # type: ignore[attr-defined]
            return DockerContainer(**fields, image=images.BUSYBOX, auto_remove=True)


async def test_time_limit(block: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent workload is killed on time, for the reason that is in the result."""
    limit, output, passed = MovableTimeLimit(monkeypatch), Lines(), list[float]()

    def sink(stream: str, line: str) -> None:
        output(stream, line)
        passed.append(time.monotonic())
        limit.pass_now()

    result = await block.model_copy(update={"timeout_seconds": limit.seconds}).run(output=sink)
    took = time.monotonic() - passed[0]
    assert (result.reason, bool(result), output) == (Reason.DEADLINE_EXCEEDED, False, [("stdout", "running\n")])
    assert GRACE_SECONDS - 0.5 < took < TOO_LATE_SECONDS


async def test_cancel(block: Infrastructure) -> None:
    """A cancelled run returns when its workload is gone, which is on time."""
    printed = ThreadsafeEvent()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await block.run(output=lambda _stream, _line: printed.set())

        tasks.start_soon(run)
        await printed.wait()
        begun = time.monotonic()
        tasks.cancel_scope.cancel()
    assert GRACE_SECONDS - 0.5 < time.monotonic() - begun < TOO_LATE_SECONDS
