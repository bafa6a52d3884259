"""A Job whose agent was killed is attached to after a cursor: each line comes once, in order, with the result."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.kubernetes import KubernetesJob
from tests.attach.agents import Agent
from tests.integration.kubernetes_run.driving import IMAGE, START_SECONDS, Gate, Lines
from tests.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NUMBERED = [f"line {number}\n" for number in range(1, 1001)]
SCRIPT = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; [ $((i % 20)) = 0 ] && sleep 0.02; done; exit 7"


@pytest.fixture
def anyio_backend() -> str:
    """These tests are about agents that are killed, and about the cluster."""
    return "asyncio"


@pytest.fixture
def job(runner: Account, kubernetes_namespace: str, monkeypatch: pytest.MonkeyPatch) -> KubernetesJob:
    """A Job that prints 1,000 lines in a good second, for agents that find the cluster in their environment."""
    monkeypatch.setenv("KUBECONFIG", str(runner.kubeconfig))
    return KubernetesJob(
        image=IMAGE,
        image_pull_policy="IfNotPresent",
        namespace=kubernetes_namespace,
        command=["sh", "-c", SCRIPT],
        pod_watch_timeout_seconds=START_SECONDS,
    )


async def file_of(job: KubernetesJob, folder: Path) -> Path:
    """Write the file of a block."""
    path = folder / "block.yaml"
    await anyio.to_thread.run_sync(job.to_yaml, path)
    return path


async def until_stored(agent: Agent, lines: int) -> None:
    """Wait until an agent has stored so many lines."""
    await anyio.to_thread.run_sync(lambda: wait_until(lambda: len(agent.stored()[0]) >= lines))


async def go_on(job: KubernetesJob, agent: Agent, identifier: str) -> tuple[list[str], int]:
    """Attach after what an agent has stored; give the lines of both, and the status code."""
    lines = Lines()
    stored, cursor = agent.stored()
    result = await job.attach(identifier, after=cursor, output=lines)
    return stored + lines.lines, result.status_code


async def test_an_agent_is_killed_between_a_thousand_lines(
    cluster: Kubernetes, job: KubernetesJob, tmp_path: Path
) -> None:
    """The agent gets SIGKILL; a new one goes on after the stored cursor, and gets the result."""
    with Gate(cluster.node.network.machine_address) as gate:
        script = SCRIPT.replace("echo line $i;", f"echo line $i; [ $i = 500 ] && {gate.command};")
        job = job.model_copy(update={"command": ["sh", "-c", script]})
        agent = Agent(tmp_path / "agent", await file_of(job, tmp_path))
        identifier = await anyio.to_thread.run_sync(agent.identifier)
        await until_stored(agent, 300)
        agent.kill()
        gate.open()
        assert len(agent.stored()[0]) <= 500
        assert await go_on(job, agent, identifier) == (NUMBERED, 7)


async def test_agents_are_killed_at_any_moment(cluster: Kubernetes, job: KubernetesJob, tmp_path: Path) -> None:
    """Twenty agents, killed at random moments from the report to the end: twenty right results, nothing orphaned."""
    known: list[str] = []
    block = await file_of(job, tmp_path)
    for round_ in range(4):
        agents = [Agent(tmp_path / f"agent-{round_}-{number}", block) for number in range(5)]
        identifiers = [await anyio.to_thread.run_sync(agent.identifier) for agent in agents]
        for number, agent in enumerate(agents):
            await until_stored(agent, random.randint(200 * number, 200 * number + 199) if number else 0)
            agent.kill()
        for agent, identifier in zip(agents, identifiers, strict=True):
            assert await go_on(job, agent, identifier) == (NUMBERED, 7)
        known += [identifier.split(":")[2] for identifier in identifiers]
    jobs = await anyio.to_thread.run_sync(cluster.api, "GET", f"/apis/batch/v1/namespaces/{job.namespace}/jobs")
    assert sorted(each["metadata"]["name"] for each in jobs["items"]) == sorted(known)
    assert [each["metadata"]["name"] for each in jobs["items"] if not each["status"].get("conditions")] == []
