"""What is sent again, and what is not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._threads import run_in_worker_thread
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes._errors import AccessRefused, ApiRefusal, ClusterUnreachable
from tests.kubernetes_client.api_server import Answer, ApiServer, status
from tests.kubernetes_client.kubeconfigs import cluster_config
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from infrablocks.kubernetes._client import Cluster


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_a_read_that_fails_is_repeated(code: int, plain_server: ApiServer, cluster: Cluster) -> None:
    """What may pass is asked for again."""
    plain_server.answer("GET", status(code, "", "later"), times=2)
    assert cluster.call("GET", "/x")["kind"] == "Echo"
    assert len(plain_server.requests) == 3


def test_a_read_whose_connection_breaks_is_repeated(plain_server: ApiServer, cluster: Cluster) -> None:
    """A connection that is cut before the answer costs a read nothing."""
    plain_server.answer("GET", lambda _: plain_server.cut("GET"))
    assert cluster.call("GET", "/x")["kind"] == "Echo"
    assert len(plain_server.requests) == 2


@pytest.mark.parametrize("code", [400, 409, 422, 500, 503, 504])
def test_a_write_is_not_repeated(code: int, plain_server: ApiServer, cluster: Cluster) -> None:
    """What it has done is not known, or it would fail again: the caller has to look."""
    plain_server.answer("POST", status(code, "Word", "the server's own words", name="x"))
    with pytest.raises(ApiRefusal) as caught:
        cluster.call("POST", "/x", body={})
    error = caught.value
    assert (error.status, error.reason, error.message, error.details, error.retry_after) == (
        code,
        "Word",
        "the server's own words",
        {"name": "x"},
        None,
    )
    assert str(error) == (
        f"The Kubernetes cluster at {plain_server.address} answered {code} to POST /x: the server's own words"
    )
    assert len(plain_server.requests) == 1


def test_a_write_whose_answer_is_lost_is_not_repeated(plain_server: ApiServer, cluster: Cluster) -> None:
    """The error says that the server may have got it."""
    plain_server.answer("POST", lambda _: plain_server.cut("POST"))
    with pytest.raises(ClusterUnreachable) as caught:
        cluster.call("POST", "/x", body={})
    assert caught.value.sent
    assert str(caught.value).startswith(f"Lost the connection to the Kubernetes cluster at {plain_server.address}: ")
    assert len(plain_server.requests) == 1


def test_a_server_that_has_too_much_to_do_says_when_to_come_back(plain_server: ApiServer, cluster: Cluster) -> None:
    """429 executes nothing, so that a write is repeated as well; not before the time that the server says."""
    plain_server.answer("POST", Answer(429, b"", {"Retry-After": "1"}))
    begin = time.monotonic()
    assert cluster.call("POST", "/x", body={})["kind"] == "Echo"
    assert time.monotonic() - begin >= 1
    plain_server.answer("POST", Answer(429, b"wait", {"Retry-After": "3600"}))
    with pytest.raises(ApiRefusal) as caught:
        cluster.call("POST", "/x", body={})
    assert (caught.value.status, caught.value.retry_after, caught.value.message) == (429, 3600, "wait")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_has_just_started(method: str, plain_server: ApiServer, cluster: Cluster) -> None:
    """What it forbids before it has read who may do what is asked for again, as nothing was done; but only then."""
    plain_server.answer(method, lambda _: plain_server.cut(method))
    plain_server.answer(method, status(403, "Forbidden", 'User "u" cannot do that'), times=3)
    with pytest.raises(ClusterUnreachable):
        cluster.call(method, "/x", repeat=False)
    assert cluster.call(method, "/x")["kind"] == "Echo"
    assert len(plain_server.requests) == 5

    plain_server.answer(method, status(403, "Forbidden", "exceeded quota"))
    with pytest.raises(AccessRefused):
        cluster.call(method, "/x")
    assert len(plain_server.requests) == 6


def test_a_right_that_is_missing(plain_server: ApiServer, cluster: Cluster) -> None:
    """What a server forbids that was in reach all the time is not asked for again."""
    plain_server.answer("GET", status(403, "Forbidden", 'User "u" cannot do that'))
    with pytest.raises(AccessRefused, match=r'does not allow this: User "u" cannot do that. Give this user a Role'):
        cluster.call("GET", "/x")
    assert len(plain_server.requests) == 1


def test_an_answer_that_does_not_come(plain_server: ApiServer, cluster: Cluster) -> None:
    """Every call has a time limit."""
    release = threading.Event()
    plain_server.answer("POST", lambda _: release.wait(WAIT_SECONDS))
    with pytest.raises(ClusterUnreachable, match="no answer in time. Check whether it is overloaded or hangs.$"):
        cluster.call("POST", "/x", body={}, read_seconds=0.1)
    release.set()


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_is_not_repeated(plain_server: ApiServer) -> None:
    """A cancelled run does not wait for a server that is busy."""
    plain_server.answer("GET", Answer(503, b"", {"Retry-After": "15"}), times=99)
    cluster = await run_in_worker_thread(lambda: acquire_cluster(cluster_config(plain_server)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_in_worker_thread, lambda: cluster.call("GET", "/x"))
        await run_in_worker_thread(lambda: plain_server.wait_for("GET", 1))
        tasks.cancel_scope.cancel()
    await run_in_worker_thread(lambda: release_cluster(cluster))
    assert len(plain_server.requests) == 1


def test_an_answer_that_is_no_json(plain_server: ApiServer, cluster: Cluster) -> None:
    """A proxy's page, say, is told and not shown."""
    plain_server.answer("GET", Answer(200, b"<html>"))
    with pytest.raises(InfrastructureError, match="^The Kubernetes cluster's answer to /x is no JSON.$"):
        cluster.call("GET", "/x")
