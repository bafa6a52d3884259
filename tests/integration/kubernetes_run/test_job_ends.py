"""How Jobs end, on a real node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._results import Reason
from tests.integration.kubernetes_run.driving import (
    DEAF,
    FOREVER,
    POD,
    Jobs,
    Lines,
    Seen,
    added,
    container,
    in_pod,
    run_all,
)

if TYPE_CHECKING:
    from infrablocks.base import InfrastructureResult

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_ends(jobs: Jobs) -> None:
    """Whatever a Job is made of, its run has the code of our container, the reason, and all output of it alone."""
    first = [{"op": "add", "path": f"{POD}/containers/0", "value": container("side", "echo side; exit 0")}]
    failing = [{"op": "add", "path": f"{POD}/containers/-", "value": container("side", "sleep 1; exit 1")}]
    last = [{"op": "add", "path": f"{POD}/containers/-", "value": container("side", "echo side; exit 0")}]
    native = in_pod(
        initContainers=[container("side", "sleep 1000", restartPolicy="Always")], terminationGracePeriodSeconds=1
    )
    blocks = {
        "0": jobs.block("echo hi; sleep 1; echo err >&2"),
        "1": jobs.block("exit 1"),
        "3": jobs.block("printf 'no end'; exit 3"),
        "137": jobs.block("exit 137"),
        "not found": jobs.block(["nope"]),
        "sidecar first": jobs.block("echo hi; exit 3", customizations=first),
        "sidecar last": jobs.block("echo hi; exit 3", customizations=last),
        "sidecar fails": jobs.block("echo hi", customizations=failing),
        "native sidecar": jobs.block("echo hi; exit 4", customizations=native),
        "init container": jobs.block("echo hi", customizations=in_pod(initContainers=[container("init", "exit 9")])),
        "memory": jobs.block("sleep 0.5; x=a; while :; do x=$x$x; done", memory_limit="20Mi"),
        "deadline": jobs.block(
            "echo hi; sleep 100",
            customizations=added(activeDeadlineSeconds=15) + in_pod(terminationGracePeriodSeconds=1),
        ),
        "attempts": jobs.block("echo hi; exit 5", customizations=added(backoffLimit=1)),
        "time limit": jobs.block(FOREVER, timeout_seconds=60, job_watch_timeout_seconds=14, grace_seconds=20),
        "not streamed": jobs.block("echo hi; exit 3", stream_output=False),
        "gone at once": jobs.block("echo hi; exit 2", finished_job_ttl=0),
    }
    stories = await run_all(blocks)
    assert {name: story.summary for name, story in stories.items()} == {
        "0": (0, "Completed", "hi\nerr\n"),
        "1": (1, "Error", ""),
        "3": (3, "Error", "no end"),
        "137": (137, "Killed", ""),
        "not found": (128, "NotStarted", ""),
        "sidecar first": (3, "Error", "hi\n"),
        "sidecar last": (3, "Error", "hi\n"),
        "sidecar fails": (0, "Completed", "hi\n"),
        "native sidecar": (4, "Error", "hi\n"),
        "init container": (-1, "NotStarted", ""),
        "memory": (137, "OOMKilled", ""),
        "deadline": (137, "DeadlineExceeded", "hi\n"),
        "attempts": (5, "BackoffLimitExceeded", "hi\nhi\n"),
        "time limit": (7, "DeadlineExceeded", "running\n"),
        "not streamed": (3, "Error", ""),
        "gone at once": (2, "Error", "hi\n"),
    }
    assert "executable file not found" in stories["not found"].message
    assert "init container 'init' exited with status code 9" in stories["init container"].message
    assert "14 seconds (job_watch_timeout_seconds)" in stories["time limit"].message
    _check_times(stories["3"].result)
    _check_times(stories["deadline"].result)


def _check_times(result: InfrastructureResult | None) -> None:
    assert result is not None
    times = (result.created_at, result.started_at, result.finished_at)
    now = datetime.now(UTC)
    assert all(moment is not None and now - timedelta(minutes=2) < moment <= now for moment in times)
    assert sorted(moment for moment in times if moment is not None) == list(times)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_on_both_event_loops(jobs: Jobs) -> None:
    """A Job runs on asyncio and on trio."""
    stories = await run_all({"job": jobs.block("echo hi; exit 3")})
    assert stories["job"].summary == (3, "Error", "hi\n")


async def test_attempts_in_one_pod(jobs: Jobs) -> None:
    """A container that its pod starts again is followed through all its runs, each of which is read once."""
    again = added(backoffLimit=1) + in_pod(restartPolicy="OnFailure")
    story = (await run_all({"job": jobs.block("cat /proc/sys/kernel/random/uuid; exit 6", customizations=again)}))[
        "job"
    ]
    printed = story.output.lines
    assert (story.summary[:2], len(set(printed))) == ((6, "BackoffLimitExceeded"), len(printed))
    assert f"failed {len(printed)} times" in story.message


async def test_deleted_by_somebody(jobs: Jobs) -> None:
    """A Job or pod that somebody deletes ends the run in bounded time, with what was last seen of its command."""
    cases = {"pod": "", "job": "Background", "job and then pods": "Background", "pods and then job": "Foreground"}
    seen = {name: Seen("running") for name in cases}
    short = in_pod(terminationGracePeriodSeconds=1)
    blocks = {name: jobs.block(FOREVER, customizations=short) for name in cases}
    blocks["job"] = jobs.block(DEAF, customizations=in_pod(terminationGracePeriodSeconds=20))
    identifiers: dict[str, str] = {}

    async def delete(name: str) -> None:
        await seen[name].wait()
        job = identifiers[name]
        if name == "pod":
            jobs.delete("pods", next(pod for pod in jobs.named("pods") if pod.startswith(job)))
        else:
            jobs.delete("jobs", job, propagationPolicy=cases[name])

    results = {}

    async def run(name: str) -> None:
        status = _Started(identifiers, name)
        with anyio.fail_after(40):
            results[name] = await blocks[name].run(status, output=Lines(seen[name]))

    async with anyio.create_task_group() as tasks:
        for name in cases:
            tasks.start_soon(run, name)
            tasks.start_soon(delete, name)
    assert {name: (result.status_code, result.reason) for name, result in results.items()} == {
        "pod": (7, Reason.ERROR),
        "job": (-1, Reason.REMOVED),
        "job and then pods": (7, Reason.ERROR),
        "pods and then job": (7, Reason.ERROR),
    }


class _Started:
    def __init__(self, identifiers: dict[str, str], name: str) -> None:
        self._identifiers = identifiers
        self._name = name

    def started(self, value: object = None) -> None:
        self._identifiers[self._name] = str(value).rpartition(":")[2]
