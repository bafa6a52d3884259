"""A container that another agent has run is attached to after a cursor: each line comes once, in order."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import DockerContainer, OutputCursor
from tests.attach.agents import Agent
from tests.engines import images
from tests.integration.docker_engine.driving import Lines
from tests.integration.own_containers import LABEL, own_containers
from tests.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.engines import ContainerEngine

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NUMBERED = [f"line {number}\n" for number in range(1, 1001)]
SCRIPT = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; [ $((i % 20)) = 0 ] && sleep 0.02; done; exit 7"


def container(test_label: str, script: str, **fields: Any) -> DockerContainer:
    """Make a block."""
    command, labels = ["sh", "-c", script], {LABEL: test_label}
    return DockerContainer(image=images.BUSYBOX, command=command, labels=labels, image_pull_policy="NEVER", **fields)


@pytest.fixture
def block(test_label: str, tmp_path: Path) -> Path:
    """The file of a container that prints 1,000 lines in a good second."""
    path = tmp_path / "block.yaml"
    container(test_label, SCRIPT).to_yaml(path)
    return path


@pytest.fixture
def pausing_block(test_label: str, tmp_path: Path) -> Path:
    """The file of a container that prints 500 lines, waits until there is a file, and prints 500 more."""
    path = tmp_path / "block.yaml"
    waits = "[ $i = 500 ] && until [ -e /killed ]; do sleep 0.05; done"
    script = f"i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; {waits}; done; exit 7"
    container(test_label, script).to_yaml(path)
    return path


async def test_going_on_after_each_line(engine: ContainerEngine, test_label: str) -> None:
    """From the cursor of every line on, both streams come to their end, with the result of the run."""
    taken: list[tuple[str, str]] = []
    cursor = OutputCursor()
    block = container(test_label, "echo 1; echo e >&2; sleep 0.1; echo; printf 'é\n'; printf last")
    result = await block.run(output=lambda _stream, line: taken.append((line, str(cursor))), cursor=cursor)
    assert engine.is_up()
    assert len(taken) == 5
    for index, (_, after) in enumerate(taken):
        lines, counted_on = Lines(), OutputCursor()
        again = await block.attach(result.identifier, after=after, output=lines, cursor=counted_on)
        assert again == result
        assert sorted(line for _, line in lines.lines) == sorted(line for line, _ in taken[index + 1 :])
        assert json.loads(str(counted_on)) == json.loads(str(cursor))


async def until_stored(agent: Agent, lines: int) -> None:
    """Wait until an agent has stored so many lines."""
    await anyio.to_thread.run_sync(lambda: wait_until(lambda: len(agent.stored()[0]) >= lines))


async def test_an_agent_is_killed_between_a_thousand_lines(
    client: docker.DockerClient, pausing_block: Path, tmp_path: Path
) -> None:
    """The agent gets SIGKILL; a new one goes on after the stored cursor, and gets the result."""
    agent, lines = Agent(tmp_path / "agent", pausing_block), Lines()
    identifier = agent.identifier()
    await until_stored(agent, 300)
    agent.kill()
    stored, cursor = agent.stored()
    client.containers.get(identifier).exec_run(["touch", "/killed"])
    result = await DockerContainer().attach(identifier, after=cursor, output=lines)
    assert 300 <= len(stored) <= 500
    assert stored + [line for _, line in lines.lines] == NUMBERED
    assert result.status_code == 7


async def test_agents_are_killed_at_any_moment(
    client: docker.DockerClient, test_label: str, block: Path, tmp_path: Path
) -> None:
    """Twenty agents, killed at random moments: twenty right results, no line lost or doubled, nothing orphaned."""
    moments = sorted(random.sample(range(950), 20))
    known: list[str] = []
    for first in range(0, 20, 4):
        agents = [Agent(tmp_path / f"agent-{first + number}", block) for number in range(4)]
        identifiers = [agent.identifier() for agent in agents]
        known += identifiers
        for moment, agent in zip(moments[first:], agents, strict=False):
            await until_stored(agent, moment)
            agent.kill()
        for agent, identifier in zip(agents, identifiers, strict=True):
            lines = Lines()
            stored, cursor = agent.stored()
            result = await DockerContainer().attach(identifier, after=cursor, output=lines)
            assert stored + [line for _, line in lines.lines] == NUMBERED
            assert result.status_code == 7
    there = {str(each.id): each.attrs["State"] for each in own_containers(client, test_label)}
    assert there == dict.fromkeys(known, "exited")
