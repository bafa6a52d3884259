"""`DockerContainer` keeps the contract of back ends, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infrablocks import DockerContainer
from tests.conformance.measured_alone import MeasuredAlone
from tests.engines import images

if TYPE_CHECKING:
    import docker

    from infrablocks.testing import MakeBlock, RunningWorkloads
    from tests.engines import ContainerEngine


# Podman 4.3 does not know host-gateway, which is said in a warning.
@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:`host.docker.internal` could not be")
class TestDockerContainer(MeasuredAlone):
    """A container, which the engine keeps after its end."""

    grace_seconds = 1.0
    time_limit_seconds = 1.5
    slack_seconds = 20.0
    seconds_per_check = 240.0

    @pytest.fixture
    def make_block(self, engine_in_use: ContainerEngine, own_labels: dict[str, str]) -> MakeBlock:
        """Blocks of busybox."""
        assert engine_in_use.is_up()

        def make_block(labels: dict[str, str] | None = None, **fields: Any) -> DockerContainer:
            return DockerContainer(image=images.BUSYBOX, labels={**(labels or {}), **own_labels}, **fields)

        return make_block

    @pytest.fixture
    def running_workloads(self, client: docker.DockerClient, own_labels: dict[str, str]) -> RunningWorkloads:
        """What the engine says."""
        filters: dict[str, str | list[str] | bool] = {
            "label": [f"{name}={value}" for name, value in own_labels.items()],
            "status": "running",
        }
        return lambda: [str(one.id) for one in client.containers.list(sparse=True, filters=filters)]
