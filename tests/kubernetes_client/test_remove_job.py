"""How long the removal of a Job is waited for: as long as a cluster needs that has been away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._threads import cancellation_requested, run_in_worker_thread
from infrablocks.kubernetes import _job_calls
from infrablocks.kubernetes._job_calls import JobAddress, remove_job
from tests.kubernetes_client.api_server import JOBS, PODS, Answer, ApiServer, Request, status
from tests.kubernetes_client.clock import Clock
from tests.processes import wait_until

if TYPE_CHECKING:
    from infrablocks.kubernetes._client import Cluster

LOGGER = logging.getLogger("infrablocks.kubernetes-job")
ADDRESS = JobAddress("default", "mine", "uid-mine")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the removal."""
    clock = Clock()
    monkeypatch.setattr(_job_calls, "time", clock)
    return clock


def stays_until(server: ApiServer, clock: Clock, end: float) -> None:
    """Have the Job be there until a time."""

    def answer(_: Request) -> Answer:
        if clock.now >= end:
            return status(404, "NotFound", 'jobs.batch "mine" not found')
        return Answer(200, {"metadata": {"name": "mine", "namespace": "default", "uid": "uid-mine"}})

    server.answer(f"GET {JOBS}/mine", answer, times=1000)


def test_controllers_that_come_back_late(plain_server: ApiServer, cluster: Cluster, clock: Clock) -> None:
    """A controller that has lost its API server looks again after a minute at most; only then can the pods go."""
    stays_until(plain_server, clock, clock.now + 65)
    assert remove_job(cluster, ADDRESS, LOGGER)


def test_what_never_goes(
    plain_server: ApiServer, cluster: Cluster, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, after a limit."""
    begun = clock.now
    stays_until(plain_server, clock, begun + 1000)
    assert not remove_job(cluster, ADDRESS, LOGGER)
    assert 75 < clock.now - begun < 79
    assert caplog.messages == ["Kubernetes Job default/mine is not gone yet: its pods take long to end"]


@pytest.mark.parametrize(
    "refused",
    [(f"DELETE {JOBS}/mine", 403), (f"DELETE {JOBS}/mine", 401), (f"GET {PODS}", 403), (f"GET {JOBS}/mine", 403)],
)
def test_refusals_that_pass(
    plain_server: ApiServer,
    cluster: Cluster,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    refused: tuple[str, int],
) -> None:
    """An API server that starts forbids everything for a moment: the Job is told to go once more."""
    begun, (request, code) = clock.now, refused
    plain_server.answer(request, status(code, "", 'User "u" cannot do that'), times=2)
    plain_server.answer(f"GET {JOBS}/mine", status(404, "NotFound", 'jobs.batch "mine" not found'), times=1000)
    assert remove_job(cluster, ADDRESS, LOGGER)
    assert (caplog.messages, clock.now - begun < 5) == ([], True)
    assert len(plain_server.lines(f"DELETE {JOBS}/mine")) >= 2


def test_a_right_that_is_missing(
    plain_server: ApiServer, cluster: Cluster, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, after the same limit; who waits for no cluster that is out of reach does not wait for it either."""
    begun = clock.now
    plain_server.answer("DELETE", status(403, "Forbidden", 'User "u" cannot delete it'), times=1000)
    assert not remove_job(cluster, ADDRESS, LOGGER)
    assert 75 < clock.now - begun < 79
    begun, requests = clock.now, len(plain_server.requests)
    assert not remove_job(cluster, ADDRESS, LOGGER, out_of_reach_seconds=0)
    assert (clock.now - begun, len(plain_server.requests) - requests) == (0, 1)
    told = (
        f"Kubernetes Job default/mine is not gone yet: The Kubernetes cluster at {plain_server.address} does not allow "
        'this: User "u" cannot delete it. Give this user a Role with that right, or use another user.'
    )
    assert caplog.messages == [told, told]


@pytest.mark.usefixtures("clock")
def test_a_pod_that_comes_late(plain_server: ApiServer, cluster: Cluster) -> None:
    """A pod that the Job's controller made while the Job went is told to go as well, and waited for."""
    made = {"metadata": {"name": "late", "namespace": "default", "uid": "uid-late"}}
    listed = iter([[made], [made], []])
    plain_server.answer(f"GET {PODS}", lambda _: Answer(200, {"items": next(listed)}), times=3)
    plain_server.answer(f"GET {JOBS}/mine", status(404, "NotFound", 'jobs.batch "mine" not found'), times=1000)
    assert remove_job(cluster, ADDRESS, LOGGER)
    assert plain_server.lines(f"DELETE {PODS}") == [f"DELETE {PODS}/late"] * 2
    assert list(listed) == []


@pytest.mark.anyio
async def test_cancelled(
    plain_server: ApiServer, cluster: Cluster, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has cancelled waits for less, and the Job is told to go all the same."""
    begun = clock.now
    stays_until(plain_server, clock, begun + 1000)

    def sleep(seconds: float) -> None:
        wait_until(cancellation_requested)
        clock.now += seconds

    monkeypatch.setattr(clock, "sleep", sleep)

    async def remove() -> None:
        await run_in_worker_thread(lambda: remove_job(cluster, ADDRESS, LOGGER))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(remove)
        await run_in_worker_thread(lambda: plain_server.wait_for(f"DELETE {JOBS}/mine", 1))
        tasks.cancel_scope.cancel()
    assert 30 < clock.now - begun < 34
