"""Containers that agents leave behind are found, removed and ended; what is watched, or is not ours, is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import DockerContainer, ReapedWorkload, WorkloadStatus
from infrablocks.docker._events import HOST_LABEL, RUN_LABEL
from tests.cli.command_line import CommandLine
from tests.engines import images
from tests.integration.own_containers import LABEL, own_containers
from tests.processes import WAIT_SECONDS
from tests.reap.agents import agent, killed_agent, watches

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.engines import ContainerEngine

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _engine_in_environment(engine_in_use: ContainerEngine) -> None:
    """The engine of the test is the one in use."""


@pytest.fixture
def label(own_labels: dict[str, str]) -> str:
    """The value of the label of this test's containers."""
    return own_labels[LABEL]


def forever(label: str, script: str = "trap exit TERM; while :; do sleep 0.05; done") -> str:
    """Give an expression for a block."""
    return (
        f"DockerContainer(image={images.BUSYBOX!r}, command=['sh', '-c', {script!r}], labels={{{LABEL!r}: {label!r}}}, "
        "stream_output=False)"
    )


def summary(reaped: tuple[ReapedWorkload, ...]) -> list[tuple[str, WorkloadStatus, str]]:
    """Give what is the same each time."""
    return [(one.identifier, one.status, one.action) for one in reaped]


def test_what_a_killed_agent_leaves_behind(client: docker.DockerClient, label: str) -> None:
    """A container whose agent was killed goes on until `kill` is given, which ends and removes it."""
    container = killed_agent(forever(label))
    block = DockerContainer()
    assert summary(block.reap(dry_run=True, kill=True)) == [(container, WorkloadStatus.RUNNING, "would kill")]
    assert summary(block.reap()) == [(container, WorkloadStatus.RUNNING, "left")]
    assert [each.id for each in own_containers(client, label)] == [container]
    assert summary(block.reap(kill=True, grace_seconds=1)) == [(container, WorkloadStatus.RUNNING, "killed")]
    assert (own_containers(client, label), watches(), summary(block.reap(kill=True))) == ([], [], [])


def test_what_has_ended(client: docker.DockerClient, label: str) -> None:
    """A container that has ended after its agent is removed without `kill`."""
    container = killed_agent(forever(label, "sleep 1; exit 3"))
    client.containers.get(container).wait()
    assert summary(DockerContainer().reap(dry_run=True)) == [(container, WorkloadStatus.FAILED, "would remove")]
    assert summary(DockerContainer().reap()) == [(container, WorkloadStatus.FAILED, "removed")]
    assert own_containers(client, label) == []


def test_what_is_watched_is_left_alone(client: docker.DockerClient, label: str) -> None:
    """A container that an agent watches, be it by `run` or by `attach`, is no business of `reap`."""
    with agent(forever(label)) as (first, container):
        assert summary(DockerContainer().reap(kill=True)) == []
        anyio.run(_reap_while_attached, container)
        first.kill()
        first.wait()
        anyio.run(_reap_while_attached, container)
    assert summary(DockerContainer().reap(kill=True, grace_seconds=1)) == [
        (container, WorkloadStatus.RUNNING, "killed")
    ]
    assert own_containers(client, label) == []


async def _reap_while_attached(container: str) -> None:
    before = len(watches())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DockerContainer(stream_output=False).attach, container)
        with anyio.fail_after(WAIT_SECONDS):
            while len(watches()) <= before:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert summary(await DockerContainer().reap(kill=True)) == []
        tasks.cancel_scope.cancel()


def test_what_is_not_ours_is_left_alone(
    client: docker.DockerClient, label: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither containers without our label nor those of other users and machines are touched, unless that is said."""
    foreign = client.containers.run(images.BUSYBOX, ["true"], labels={LABEL: label}, detach=True)
    unmarked = client.containers.create(images.BUSYBOX, ["true"], labels={LABEL: label, RUN_LABEL: label})
    other = client.containers.create(
        images.BUSYBOX, ["true"], labels={LABEL: label, RUN_LABEL: f"{label}2", HOST_LABEL: "elsewhere/0"}
    )
    assert summary(DockerContainer().reap(kill=True)) == []
    with agent(forever(label)) as (_, watched):
        monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "home of another user"))
        assert summary(DockerContainer().reap(kill=True)) == []
        assert {each.id for each in own_containers(client, label)} == {foreign.id, unmarked.id, other.id, watched}
        reaped = summary(DockerContainer().reap(other_hosts=True))
        assert (watched, WorkloadStatus.RUNNING, "left") in reaped
        assert {(each.id, WorkloadStatus.PENDING, "removed") for each in (unmarked, other)} <= set(reaped)


def test_the_command(client: docker.DockerClient, label: str, engine: ContainerEngine, tmp_path: Path) -> None:
    """The command prints a line for each container."""
    command_line = CommandLine(tmp_path, DOCKER_HOST=engine.docker_host)
    container = killed_agent(forever(label))
    outcome = command_line("reap", "-t", "docker-container", "--kill", "--grace-seconds", "1")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    identifier, status, done = outcome.stdout.rstrip("\n").split("\t")
    assert (identifier, status.partition(",")[0], done) == (container, "Running", "killed")
    assert own_containers(client, label) == []
