"""How Jobs end, on a real node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._results import Reason
from infrablocks.kubernetes import _watch
from tests.integration.kubernetes_run.driving import (
    DEAF,
    FOREVER,
    POD,
    Gate,
    Identifier,
    Jobs,
    Lines,
    Seen,
    added,
    container,
    in_pod,
    name_of,
    run_all,
)
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from infrablocks.base import InfrastructureResult
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@pytest.mark.usefixtures("one_look_at_the_end")
async def test_ends(cluster: Kubernetes, jobs: Jobs) -> None:
    """Whatever a Job is made of, its run has the code of our container, the reason, and all output of it alone."""
    begun = datetime.now(UTC).replace(microsecond=0)
    gate, started = Gate(cluster.node.network.machine_address), Seen("hi")
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
            "echo hi; sleep 1000", name="deadline", customizations=in_pod(terminationGracePeriodSeconds=1)
        ),
        "attempts": jobs.block("echo hi; exit 5", customizations=added(backoffLimit=1)),
        "not streamed": jobs.block("echo hi; exit 3", stream_output=False),
        # The node removes the log with the pod: it ends when its line was read.
        "gone at once": jobs.block(f"echo hi; {gate.command}; exit 2", finished_job_ttl=0),
    }
    with gate:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pass_deadline, jobs, started)
            outputs = {"deadline": Lines(started), "gone at once": Lines(lambda _: gate.open())}
            stories = await run_all(blocks, outputs)
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
        "not streamed": (3, "Error", ""),
        "gone at once": (2, "Error", "hi\n"),
    }
    assert "executable file not found" in stories["not found"].message
    assert "init container 'init' exited with status code 9" in stories["init container"].message
    _check_times(stories["3"].result, begun)
    _check_times(stories["deadline"].result, begun)


async def _pass_deadline(jobs: Jobs, started: Seen) -> None:
    """Give a Job that has printed something a deadline that has passed."""
    await started.wait()
    (name,) = (name for name in jobs.named("jobs") if name.startswith("deadline-"))
    jobs.change("jobs", name, {"spec": {"activeDeadlineSeconds": 1}})


def _check_times(result: InfrastructureResult | None, begun: datetime) -> None:
    assert result is not None
    times = (result.created_at, result.started_at, result.finished_at)
    now = datetime.now(UTC)
    assert all(moment is not None and begun <= moment <= now for moment in times)
    assert sorted(moment for moment in times if moment is not None) == list(times)


async def test_time_limit(jobs: Jobs) -> None:
    """The lower of two limits counts; who has set it learns that, and everybody the code of what was killed."""
    seen, told, results = Seen("running"), Identifier(), dict[str, "InfrastructureResult"]()
    output = Lines(seen)
    block = jobs.block(FOREVER, grace_seconds=WAIT_SECONDS)
    limited = block.model_copy(update={"timeout_seconds": 1000, "job_watch_timeout_seconds": 1})

    async def run() -> None:
        results["run"] = await block.run(told, output=output)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await seen.wait()
        results["attached"] = await limited.attach(await told.get(), output=Lines())
    assert {name: (result.status_code, result.reason) for name, result in results.items()} == {
        "run": (7, Reason.ERROR),
        "attached": (7, Reason.DEADLINE_EXCEEDED),
    }
    assert "1 seconds (job_watch_timeout_seconds)" in results["attached"].message
    assert output.text == "running\n"


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_on_both_event_loops(jobs: Jobs) -> None:
    """A Job runs on asyncio and on trio."""
    stories = await run_all({"job": jobs.block("echo hi; exit 3")})
    assert stories["job"].summary == (3, "Error", "hi\n")


@pytest.mark.usefixtures("one_look_at_the_end")
async def test_attempts_in_one_pod(cluster: Kubernetes, jobs: Jobs) -> None:
    """A container that its pod starts again is followed through all its runs, each of which is read once."""
    again = added(backoffLimit=1) + in_pod(restartPolicy="OnFailure")
    # The logs go with the pod, which the cluster deletes after the last attempt: each ends when it was read.
    with Gate(cluster.node.network.machine_address) as gate:
        block = jobs.block(f"cat /proc/sys/kernel/random/uuid; {gate.command}; exit 6", customizations=again)
        story = (await run_all({"job": block}, {"job": Lines(lambda _: gate.let_one_pass())}))["job"]
    printed = story.output.lines
    assert (story.summary[:2], len(set(printed))) == ((6, "BackoffLimitExceeded"), len(printed))
    assert f"failed {len(printed)} times" in story.message


async def test_deleted_by_somebody(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job or pod that somebody deletes ends the run with what its command came to."""
    monkeypatch.setattr(_watch, "_PODS_FOLLOW_SECONDS", WAIT_SECONDS)
    cases = {"pod": "", "job and then pods": "Background", "pods and then job": "Foreground"}
    assert await _deleted(jobs, cases, FOREVER) == dict.fromkeys(cases, (7, Reason.ERROR))


async def test_deleted_without_an_end(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job that somebody deletes ends the run in bounded time, whether or not its pod ends."""
    monkeypatch.setattr(_watch, "_PODS_FOLLOW_SECONDS", 3.0)
    assert await _deleted(jobs, {"job": "Background"}, DEAF) == {"job": (-1, Reason.REMOVED)}


async def _deleted(jobs: Jobs, cases: dict[str, str], command: str) -> dict[str, tuple[int, Reason]]:
    """Run Jobs whose pods have all the time to end, and delete each when it has printed something.

    Args:
        jobs: Makes them.
        cases: Name, and how the Job is deleted; empty: its pod is.
        command: What they run.

    Returns:
        For each name the code and the reason.
    """
    seen = {name: Seen("running") for name in cases}
    block = jobs.block(command, customizations=in_pod(terminationGracePeriodSeconds=1000))
    identifiers: dict[str, str] = {}

    async def delete(name: str) -> None:
        await seen[name].wait()
        job = identifiers[name]
        if cases[name]:
            jobs.delete("jobs", job, propagationPolicy=cases[name])
        else:
            jobs.delete("pods", next(pod for pod in jobs.named("pods") if pod.startswith(job)))

    results = {}

    async def run(name: str) -> None:
        status = _Started(identifiers, name)
        results[name] = await block.run(status, output=Lines(seen[name]))

    with anyio.fail_after(2 * WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            for name in cases:
                tasks.start_soon(run, name)
                tasks.start_soon(delete, name)
    return {name: (result.status_code, result.reason) for name, result in results.items()}


class _Started:
    def __init__(self, identifiers: dict[str, str], name: str) -> None:
        self._identifiers = identifiers
        self._name = name

    def started(self, value: object = None) -> None:
        self._identifiers[self._name] = name_of(str(value))
