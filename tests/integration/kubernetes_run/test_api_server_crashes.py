"""The API server crashes under runs, and comes back: they miss nothing, and do nothing twice."""

from __future__ import annotations

import logging
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio import CancelScope, to_thread

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes import _client, _create, _job_calls, _kill
from tests.engines import require
from tests.engines.paths import STATE_VARIABLE
from tests.integration.kubernetes_run.driving import (
    FOREVER,
    LOOK,
    NOTHING_LEFT,
    Gate,
    Identifier,
    Jobs,
    Lines,
    Seen,
    Story,
    in_pod,
    names,
    run_all,
    until,
)
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from infrablocks.kubernetes import KubernetesJob
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

LINES = 500
COUNTING = f"n=0; while [ $n -lt {LINES} ]; do echo line $n; n=$((n+1)); sleep 0.02; done; exit 3"


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Kubernetes]:
    """Another cluster like the usual one, which nobody else uses."""
    cluster = cast("Kubernetes", require("kubernetes"))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as directory:
        patch.setenv(STATE_VARIABLE, directory)
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()


@pytest.fixture
def cluster(own_cluster: Kubernetes) -> Kubernetes:
    """The cluster of these tests."""
    return own_cluster


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long API server and controllers take to come back, nothing is given up."""
    for module, name in (
        (_client, "_REPEAT_SECONDS"),
        (_create, "_REPEAT_SECONDS"),
        (_job_calls, "_REMOVE_SECONDS"),
        (_kill, "_SLOW_NODE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, WAIT_SECONDS)


@asynccontextmanager
async def away(cluster: Kubernetes) -> AsyncIterator[None]:
    """Have the API server crash, and come back at the end."""
    await to_thread.run_sync(cluster.kill)
    try:
        yield
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(cluster.restart)


class Running:
    """A run that goes on while the test does something else."""

    def __init__(self, block: KubernetesJob, output: Lines | None = None) -> None:
        self._block = block
        self.told = Identifier()
        self.story = Story(output or Lines())
        self.scope = CancelScope()

    async def __call__(self) -> None:
        with self.scope:
            self.story.result = await self._block.run(self.told, output=self.story.output)


async def test_runs_go_on(cluster: Kubernetes, jobs: Jobs) -> None:
    """Runs print, end and are cancelled while the API server is away: results, output and number of Jobs are right."""
    counted, waited, cancellable = Seen("line 50"), Seen("before"), Seen("running")
    with Gate(cluster.node.network.machine_address) as gate:
        counting = Running(jobs.block(COUNTING), Lines(counted))
        ending = Running(jobs.block(f"echo before; {gate.command}; echo after; exit 5"), Lines(waited))
        cancelled = Running(jobs.block(FOREVER, on_cancel="kill"), Lines(cancellable))
        async with anyio.create_task_group() as tasks:
            for run in (counting, ending, cancelled):
                tasks.start_soon(run)
            for seen in (counted, waited, cancellable):
                await seen.wait()
            async with away(cluster):
                gate.open()
                cancelled.scope.cancel()
                with pytest.raises(InfrastructureNotAvailable, match="Could not connect to the Kubernetes cluster"):
                    await jobs.block("true").run()
    assert [run.story.summary for run in (counting, ending, cancelled)] == [
        (3, "Error", "".join(f"line {number}\n" for number in range(LINES))),
        (5, "Error", "before\nafter\n"),
        (-2, "NoneType", "running\n"),
    ]
    assert (len(jobs.named("jobs")), jobs.running()["pods"]) == (2, [])
    await until(lambda: len(jobs.named("pods")) == 2)  # the node tidies up after the one that was killed


async def test_crash_amid_starts(cluster: Kubernetes, jobs: Jobs) -> None:
    """Of runs that are just being started each has its one Job, or has failed and has none."""
    runs = [Running(jobs.block("echo done")) for _ in range(24)]
    failed: list[InfrastructureNotAvailable] = []

    async def run(running: Running) -> None:
        try:
            await running()
        except InfrastructureNotAvailable as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        for running in runs:
            tasks.start_soon(run, running)
        await runs[0].told.get()
        async with away(cluster):
            pass
    ended = [running.story for running in runs if running.story.result is not None]
    assert len(ended) == len(runs) - len(failed)
    assert {story.summary[:2] for story in ended} <= {(0, "Completed")}
    # Twice where the cluster has made two pods, because it has lost the API server's answer about the first.
    assert {line for story in ended for line in story.output.lines} <= {"done\n"}
    assert jobs.named("jobs") == sorted(names(ended))


async def test_start_fails_while_away(
    cluster: Kubernetes,
    proxied: Jobs,
    proxy: ApiProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A start that would be given up while the API server is away is so when it is back, and the Job is gone then."""
    monkeypatch.setattr(_client, "_REPEAT_SECONDS", 1.0)
    caplog.set_level(logging.DEBUG, logger="infrablocks")
    proxy.answer(LOOK, 400, times=10**6)  # before the API server is away, the start is not given up
    nowhere = in_pod(nodeSelector={"no": "node"})
    run = Running(proxied.block("true", pod_watch_timeout_seconds=1, customizations=nowhere))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await run.told.get()
        await until(proxied.has_unschedulable_pod)
        async with away(cluster):
            proxy.forget()
            await until(lambda: "cannot be asked for: Lost the connection" in caplog.text)
            assert run.story.result is None
    assert run.story.summary == (-1, "Unschedulable", "")
    assert run.story.message.endswith("The Job was deleted.")
    assert proxied.left() == NOTHING_LEFT


async def test_crash_amid_removal(cluster: Kubernetes, proxied: Jobs, proxy: ApiProxy) -> None:
    """A Job that does not start is removed also when the API server crashes in between."""
    proxy.hold_answer("DELETE .*/jobs/")
    (story,) = (await _removed(cluster, proxied, proxy)).values()
    assert story.summary == (-1, "InvalidImage", "")
    assert story.message.endswith("The Job was deleted.")
    assert proxied.left() == NOTHING_LEFT


async def _removed(cluster: Kubernetes, jobs: Jobs, proxy: ApiProxy) -> dict[str, Story]:
    stories: dict[str, Story] = {}

    async def run() -> None:
        stories.update(await run_all({"job": jobs.block("true", image="BAD NAME")}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await to_thread.run_sync(proxy.wait_for, "DELETE .*/jobs/", 1)
        async with away(cluster):
            pass
    return stories
