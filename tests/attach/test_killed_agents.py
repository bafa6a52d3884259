"""An agent that is killed loses nothing: the next one goes on after the last line that was stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from infrablocks import InfrastructureNotFound, Process
from tests.attach.agents import Agent
from tests.processes import Lines, is_alive, wait_until

pytestmark = pytest.mark.anyio

NUMBERED = [f"line {number}\n" for number in range(1, 1001)]
COMMAND = ["bash", "-c", "for i in {1..1000}; do echo line $i; ((i % 20)) || sleep 0.02; done; exit 7"]
COMMAND_IN_TWO_PARTS = ["bash", "-c", "for i in {1..1000}; do echo line $i; ((i - 600)) || read <gate; done; exit 7"]


def write_block(folder: Path, command: list[str]) -> Path:
    """Write the file of a detached process that prints 1,000 lines."""
    path = folder / "block.yaml"
    Process(command=command, detached=True, working_dir=folder).to_yaml(path)
    return path


@pytest.fixture
def block(tmp_path: Path) -> Path:
    """The file of one that takes a good second."""
    return write_block(tmp_path, COMMAND)


@pytest.fixture
def block_in_two_parts(tmp_path: Path) -> Path:
    """The file of one that waits after 600 lines until something is written into the pipe `gate` of its folder."""
    os.mkfifo(tmp_path / "gate")
    return write_block(tmp_path, COMMAND_IN_TWO_PARTS)


async def test_an_agent_is_killed_between_a_thousand_lines(tmp_path: Path, block_in_two_parts: Path) -> None:
    """A new agent attaches after the stored cursor: each line is there once, in order, and the result is right."""
    agent, lines = Agent(tmp_path / "agent", block_in_two_parts), Lines()
    identifier = agent.identifier()
    wait_until(lambda: len(agent.stored()[0]) >= 300)
    agent.kill()
    await anyio.to_thread.run_sync((tmp_path / "gate").write_text, "go on\n")
    stored, cursor = agent.stored()
    result = await Process().attach(identifier, after=cursor, output=lines)
    assert 300 <= len(stored) <= 600
    assert stored + [line for _, line in lines] == NUMBERED
    assert result.status_code == 7


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_agents_are_killed_at_any_moment(tmp_path: Path, block: Path) -> None:
    """Twenty agents, killed at moments from the report to after the end: twenty right results and outputs."""
    agents = [Agent(tmp_path / f"agent-{number}", block) for number in range(20)]
    identifiers = [agent.identifier() for agent in agents]
    for number, agent in enumerate(agents):
        wait_until(lambda: len(agent.stored()[0]) >= min(53 * number, 1000))  # noqa: B023 (called at once)
        agent.kill()
    seen: dict[str, Any] = {}

    async def attach(agent: Agent, identifier: str) -> None:
        lines = Lines()
        stored, cursor = agent.stored()
        result = await Process().attach(identifier, after=cursor, output=lines)
        seen[identifier] = (result.status_code, stored + [line for _, line in lines])

    async with anyio.create_task_group() as tasks:
        for agent, identifier in zip(agents, identifiers, strict=True):
            tasks.start_soon(attach, agent, identifier)
    assert seen == dict.fromkeys(identifiers, (7, NUMBERED))
    runs = Path(os.environ["INFRABLOCKS_HOME"], "runs")
    assert {path.name for path in runs.iterdir()} == {f"{os.uname().nodename}-{pid}" for pid in identifiers}
    assert [pid for pid in identifiers if is_alive(int(pid))] == []


async def test_many_detached_processes(anyio_backend: str) -> None:
    """100 are started by one agent at once, left, and attached to by it; each gives its own result; 50 with Trio."""
    count = 100 if anyio_backend == "asyncio" else 50
    pids: dict[int, int] = {}
    seen: dict[int, Any] = {}

    async def start(number: int) -> None:
        async with anyio.create_task_group() as tasks:
            pids[number] = await tasks.start(
                Process(command=["sh", "-c", f"echo {number}; exit {number % 7}"], detached=True).run
            )
            tasks.cancel_scope.cancel()

    async def attach(number: int) -> None:
        lines = Lines()
        result = await Process().attach(pids[number], output=lines)
        seen[number] = (result.status_code, lines.text())

    for step in (start, attach):
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(step, number)
    assert seen == {number: (number % 7, f"{number}\n") for number in range(count)}


async def test_what_was_never_run() -> None:
    """A process that no run has started is not found."""
    with pytest.raises(InfrastructureNotFound):
        await Process().attach("2147483646")
