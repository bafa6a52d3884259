"""Killing, cancelling, looking at and finding containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio
import docker
import docker.errors
import pytest

from infrablocks._life_cycle import close_workload
from infrablocks._results import Reason, WorkloadStatus
from infrablocks._threads import run_in_worker_thread
from infrablocks.docker._watch import Container, find_container
from infrablocks.exceptions import InfrastructureNotFound
from tests.integration.docker_engine.driving import DEAF, FOREVER, Identifier, Lines, run, settings, until
from tests.integration.own_containers import LABEL, own_containers
from tests.movable_time_limit import MovableTimeLimit
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.engines import ContainerEngine
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def found(identifier: str) -> Container:
    return await run_in_worker_thread(lambda: find_container(identifier))


async def status(identifier: str) -> WorkloadStatus:
    workload = await found(identifier)
    try:
        return await workload.status()
    finally:
        await close_workload(workload)


async def kill(identifier: str, grace_seconds: float) -> None:
    workload = await found(identifier)
    try:
        await workload.kill(grace_seconds)
    finally:
        await close_workload(workload)


@pytest.mark.differs_between_engines("the answer to a signal when the container has just ended")
@pytest.mark.parametrize(
    ("script", "grace_seconds", "code"), [(FOREVER, WAIT_SECONDS, 7), (DEAF, 1, 137)], ids=["obedient", "deaf"]
)
async def test_kill(client: docker.DockerClient, test_label: str, script: str, grace_seconds: float, code: int) -> None:
    """SIGTERM comes first and SIGKILL after the grace period; the run tells the code."""
    ended, identifier, lines = anyio.Event(), Identifier(), Lines()
    async with anyio.create_task_group() as tasks:

        async def kill_when_running() -> None:
            container_id = await identifier.get()
            await until(lambda: ("stdout", "running\n") in lines.lines)
            assert await status(container_id) is WorkloadStatus.RUNNING
            await kill(container_id, grace_seconds)
            state = await run_in_worker_thread(lambda: client.api.inspect_container(container_id)["State"])
            assert not state["Running"]
            ended.set()

        tasks.start_soon(kill_when_running)
        result = await run(settings(script, auto_remove=False, test_label=test_label), lines, task_status=identifier)
        await ended.wait()
    assert result.status_code == code
    assert result.reason is (Reason.KILLED if code == 137 else Reason.ERROR)


@pytest.mark.differs_between_engines("the words for the states of a container: exited or stopped")
async def test_status_and_not_found(client: docker.DockerClient, test_label: str) -> None:
    """Each state of a container has its word, under its id, the beginning of that and its name."""
    for code, expected in ((0, WorkloadStatus.SUCCEEDED), (3, WorkloadStatus.FAILED)):
        container = settings(
            f"exit {code}", auto_remove=False, name=f"status-{code}-{test_label}", test_label=test_label
        )
        result = await run(container)
        for identifier in (result.identifier, result.identifier[:12], f"status-{code}-{test_label}"):
            assert await status(identifier) is expected
    created = await run_in_worker_thread(
        lambda: client.api.create_container("busybox:test", ["true"], labels={LABEL: test_label})["Id"]
    )
    assert await status(created) is WorkloadStatus.PENDING
    for unknown in ("0" * 64, "no such thing", "", "../x"):
        with pytest.raises(InfrastructureNotFound, match="There is no container"):
            await found(unknown)


async def test_kill_of_one_that_has_ended(engine: ContainerEngine, test_label: str) -> None:
    """It is killed already."""
    result = await run(settings("exit 0", auto_remove=False, test_label=test_label))
    assert engine.is_up()
    await kill(result.identifier, 1)
    assert await status(result.identifier) is WorkloadStatus.SUCCEEDED


async def test_time_limit(client: docker.DockerClient, test_label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent container is told to end when its time has passed, and removed where that was asked for (PITFALL 13)."""
    limit = MovableTimeLimit(monkeypatch)
    lines = Lines(lambda _line: limit.pass_now())
    container = settings(FOREVER, test_label=test_label)
    result = await run(container, lines, timeout_seconds=limit.seconds, grace_seconds=WAIT_SECONDS)
    assert own_containers(client, test_label) == []
    assert result.reason is Reason.DEADLINE_EXCEEDED
    assert result.status_code == 7
    assert lines.text("stdout") == "running\n"


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
async def test_cancelled_while_it_runs(
    client: docker.DockerClient, test_label: str, on_cancel: Literal["kill", "leave"]
) -> None:
    """A cancelled run kills its container or leaves it, as it was told."""
    identifier = Identifier()
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            await identifier.get()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel)
        await run(
            settings(FOREVER, test_label=test_label, stream_output=False), task_status=identifier, on_cancel=on_cancel
        )
    if on_cancel == "leave":
        assert await status(await identifier.get()) is WorkloadStatus.RUNNING
    else:
        with pytest.raises(docker.errors.NotFound):
            client.api.inspect_container(await identifier.get())


@pytest.mark.parametrize("request_", ["/containers/create", "/attach", "/start"])
async def test_cancelled_while_it_is_made(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, request_: str
) -> None:
    """After a cancelled run has returned, nothing of it is there, and nothing new appears (PITFALL 29)."""
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            await until(lambda: proxy.count(request_) > 0)
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel)
        await run(settings(FOREVER, test_label=test_label))
    assert own_containers(client, test_label) == []
    assert proxy.count("/start") <= 1
