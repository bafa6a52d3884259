"""A run of a container that is cancelled at any of its checkpoints: nothing unreported is left, nothing half-made."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from infrablocks import DockerContainer
from tests.cancellation.checkpoints import Held, Reported, cancelled_at
from tests.engines import images
from tests.integration.own_containers import LABEL, own_containers
from tests.processes import WAIT_SECONDS
from tests.reap.agents import watches

if TYPE_CHECKING:
    import docker

    from tests.cancellation.checkpoints import Way
    from tests.engines import ContainerEngine

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

BATCH = 8
# One at a time, so that the client of the test has one connection.
LOOKING = threading.Lock()


@pytest.fixture(autouse=True)
def _engine_in_environment(engine_in_use: ContainerEngine) -> None:
    """The engine of the test is the one in use."""


@pytest.fixture
def label(own_labels: dict[str, str]) -> str:
    """The value of the label of this test's containers."""
    return own_labels[LABEL]


def here(client: docker.DockerClient, label: str) -> dict[str, str]:
    """Give the containers of a test that are there, and how they stand."""
    return {str(each.id): each.attrs["State"] for each in own_containers(client, label)}


class Attempt:
    """One run that is cancelled at one checkpoint."""

    def __init__(self, number: int, client: docker.DockerClient, label: str, **fields: Any) -> None:
        self.number = number
        self.runs_on = False
        self._client = client
        self._label = label
        self.reported = Reported()
        self.has_reached = False
        self._block = DockerContainer(
            image=images.BUSYBOX,
            # One that is left is still to run when its run has returned.
            command=["sh", "-c", f"echo running; sleep {5 if fields['on_cancel'] == 'leave' else 2}"],
            labels={LABEL: label},
            grace_seconds=0,
            **fields,
        )

    async def run(self, way: Way) -> None:
        """Run and cancel it, and look whether it still runs when that has returned."""
        self.has_reached = await cancelled_at(
            self.number, lambda: self._block.run(self.reported, output=lambda _stream, _line: None), way
        )
        if self.reported.identifier is not None:
            self.runs_on = await anyio.to_thread.run_sync(self._runs)

    def _runs(self) -> bool:
        with LOOKING:
            return here(self._client, self._label)[str(self.reported.identifier)] == "running"


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize(
    ("way", "anyio_backend"),
    [
        ("scope", "asyncio"),
        ("scope", "trio"),
        # Only asyncio cancels a task without a scope.
        pytest.param("task", "asyncio", marks=pytest.mark.nightly("the gate cancels processes in this way")),
    ],
    indirect=["anyio_backend"],
)
async def test_cancelled_at_each_checkpoint(
    client: docker.DockerClient, label: str, way: Way, on_cancel: Literal["kill", "leave"]
) -> None:
    """Whichever checkpoint it is: what was not reported is gone, what was is killed or goes on, as was told."""
    await DockerContainer(image=images.BUSYBOX, command=["true"], auto_remove=True).run()
    assert await anyio.to_thread.run_sync(here, client, label) == {}  # the test's own connection is open now
    held = Held()
    attempts: list[Attempt] = []
    while all(attempt.has_reached for attempt in attempts):
        batch = [Attempt(len(attempts) + number, client, label, on_cancel=on_cancel) for number in range(1, BATCH + 1)]
        async with anyio.create_task_group() as tasks:
            for attempt in batch:
                tasks.start_soon(attempt.run, way)
        attempts += batch
    there = await anyio.to_thread.run_sync(here, client, label)
    reported = {attempt.reported.identifier for attempt in attempts} - {None}
    assert 3 < sum(attempt.has_reached for attempt in attempts) < len(attempts)
    assert set(there) == reported
    await anyio.to_thread.run_sync(held.wait_until_let_go)
    assert watches() == []
    if on_cancel == "kill":
        assert [attempt.number for attempt in attempts if attempt.runs_on] == []
    else:
        assert any(attempt.runs_on for attempt in attempts)
        ends = {await anyio.to_thread.run_sync(_exit_code, client, container) for container in there}
        assert ends == {0}
    assert set(await anyio.to_thread.run_sync(here, client, label)) == reported


def _exit_code(client: docker.DockerClient, container: str) -> int:
    return int(client.api.wait(container, timeout=int(WAIT_SECONDS))["StatusCode"])
