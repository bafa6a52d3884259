"""Jobs that are killed, cancelled, and watched again by somebody else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import OutputCursor
from infrablocks._results import Reason, WorkloadStatus
from infrablocks.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from tests.integration.kubernetes_run.driving import (
    DEAF,
    FOREVER,
    NOTHING_LEFT,
    NOTHING_RUNS,
    Gate,
    Identifier,
    Jobs,
    Lines,
    Seen,
    added,
    in_pod,
    name_of,
    until,
)
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from infrablocks.kubernetes import KubernetesJob
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@dataclass(frozen=True)
class Killed:
    """A way to kill a Job: what it runs, how long it may go on, what its template says, and what follows."""

    command: str
    grace_seconds: float
    template_seconds: int
    seconds: tuple[float, float]
    code: int
    reason: Reason = Reason.KILLED


# Whatever else it waits for would take longer than the upper limit.
KILLS = {
    "ends by itself": Killed(FOREVER, 1000, 1000, (0, WAIT_SECONDS), 7, Reason.ERROR),
    "shorter grace": Killed(DEAF, 3, 1000, (2.5, WAIT_SECONDS), 137),
    "longer grace": Killed(DEAF, 5, 1, (4.5, WAIT_SECONDS), 137),
}


async def test_kill(jobs: Jobs) -> None:
    """A Job that is killed gets the grace period that was asked for, and is gone when the call returns."""
    async with anyio.create_task_group() as tasks:
        for case in KILLS.values():
            tasks.start_soon(_kill, jobs, case)
    await until(lambda: jobs.left() == NOTHING_LEFT)


async def _kill(jobs: Jobs, case: Killed) -> None:
    seen, told, results = Seen("running"), Identifier(), []
    lines = Lines(seen)
    changes = in_pod(terminationGracePeriodSeconds=case.template_seconds) + added(backoffLimit=3)
    block = jobs.block(case.command, customizations=changes)

    async def run() -> None:
        results.append(await block.run(told, output=lines))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await seen.wait()
        identifier = await told.get()
        assert await block.status(identifier) is WorkloadStatus.RUNNING
        begun = time.monotonic()
        await block.kill(identifier, grace_seconds=case.grace_seconds)
        took = time.monotonic() - begun
        name = name_of(identifier)
        running = await anyio.to_thread.run_sync(jobs.running)
        assert [one for names in running.values() for one in names if one.startswith(name)] == []
    assert case.seconds[0] <= took <= case.seconds[1]
    assert [(result.status_code, result.reason) for result in results] == [(case.code, case.reason)]
    assert lines.text == "running\n"
    for call in (block.kill, block.status):
        with pytest.raises(InfrastructureNotFound, match="There is no Job"):
            await call(identifier)


async def test_identifiers(jobs: Jobs) -> None:
    """A Job is found by its uid, by namespace and name, and by its name; never on another cluster."""
    block, told = jobs.block("echo hi; exit 3"), Identifier()
    result = await block.run(told, output=Lines())
    cluster_id, namespace, name, uid = result.identifier.split(":")
    assert (await told.get(), namespace) == (result.identifier, jobs.namespace)
    older = f"{cluster_id}:{namespace}:{name}"
    for identifier in (result.identifier, f"00000000:{namespace}:{name}:{uid}", older, f"{namespace}/{name}", name):
        assert await block.status(identifier) is WorkloadStatus.FAILED
    with pytest.raises(
        InfrastructureNotAvailable, match=f"is on the cluster 00000000, and this block uses the cluster {cluster_id}"
    ):
        await block.kill(f"00000000:{namespace}:{name}")
    with pytest.raises(InfrastructureNotFound, match=f"with the uid {uid[:-1]} is gone, and another one, with the uid"):
        await block.kill(f"{cluster_id}:{namespace}:{name}:{uid[:-1]}")
    for identifier in ("Not A Name", "a:b", f"{cluster_id}:{namespace}:nope"):
        with pytest.raises(InfrastructureNotFound, match="There is no Job"):
            await block.kill(identifier)


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
async def test_cancelled(cluster: Kubernetes, jobs: Jobs, on_cancel: Any) -> None:
    """A cancelled run kills its Job, or leaves it so that others watch it to the same result, all or the rest of it."""
    seen, told = Seen("3\n"), Identifier()
    first, cursor = Lines(seen), OutputCursor()
    with Gate(cluster.node.network.machine_address) as gate:
        command = f"for n in 1 2 3; do echo $n; done; {gate.command}; for n in 4 5; do echo $n; done; exit 3"
        block = jobs.block(command, on_cancel=on_cancel)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: block.run(told, output=first, cursor=cursor))
            await seen.wait()
            tasks.cancel_scope.cancel()
        if on_cancel == "kill":
            assert jobs.running() == NOTHING_RUNS
            await until(lambda: jobs.left() == NOTHING_LEFT)
            return
        identifier = await told.get()
        await _attach_twice(block, identifier, str(cursor), gate)
    kept = Lines()
    await block.logs(identifier, output=kept)
    assert (first.text, kept.text) == ("1\n2\n3\n", "1\n2\n3\n4\n5\n")


async def _attach_twice(block: KubernetesJob, identifier: str, after: str, gate: Gate) -> None:
    seen, results = Seen("3\n"), []
    whole, rest = Lines(seen), Lines()

    async def attach(lines: Lines, after: str | None = None) -> None:
        results.append(await block.attach(identifier, output=lines, after=after))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attach, rest, after)
        tasks.start_soon(attach, whole)
        await seen.wait()
        gate.open()
    assert [(result.status_code, result.identifier) for result in results] == [(3, identifier)] * 2
    assert (whole.text, rest.text) == ("1\n2\n3\n4\n5\n", "4\n5\n")


async def test_cancelled_at_any_moment(jobs: Jobs) -> None:
    """A run that is cancelled while its Job is made leaves none that nobody was told of."""
    block = jobs.block("sleep 1000", on_cancel="leave", stream_output=False)
    identifiers = [Identifier() for _ in range(12)]

    async def run_for(seconds: float, told: Identifier) -> None:
        with anyio.move_on_after(seconds):
            await block.run(told)

    async with anyio.create_task_group() as tasks:
        for number, told in enumerate(identifiers):
            tasks.start_soon(run_for, 0.02 * number, told)
    known = [await told.get() for told in identifiers if told.is_told]
    assert jobs.named("jobs") == sorted(map(name_of, known))
