"""Each back end in turn, with a command of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from infrablocks import DockerContainer, Infrastructure, KubernetesJob, Process
from tests.engines import CONTAINER_ENGINES, images, require
from tests.integration.own_containers import use_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeBlock: TypeAlias = Callable[[str], Infrastructure]


@pytest.fixture(params=["process", "detached process", "kubernetes", *CONTAINER_ENGINES])
def left_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeBlock:
    """What makes a block of a shell script, whose workload is left when its run is cancelled; agents can load it."""
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "home"))
    match str(request.param):
        case "process" | "detached process" as name:
            return lambda script: Process(command=["sh", "-c", script], on_cancel="leave", detached=name != "process")
        case "kubernetes":
            monkeypatch.setenv("KUBECONFIG", str(request.getfixturevalue("runner").kubeconfig))
            return lambda script: KubernetesJob(
                command=["sh", "-c", script],
                on_cancel="leave",
                namespace=request.getfixturevalue("kubernetes_namespace"),
                image="busybox:test",
                image_pull_policy="IfNotPresent",
            )
        case engine:
            use_engine(require(engine).docker_host, monkeypatch, tmp_path)  # type: ignore[attr-defined]
            return lambda script: DockerContainer(
                command=["sh", "-c", script], on_cancel="leave", image=images.BUSYBOX, auto_remove=True
            )
