"""What runs hear of their Jobs, whatever becomes of the connection."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from anyio import create_task_group, fail_after

from infrablocks._threads import run_in_worker_thread
from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes._job_watch import JobSnapshot, JobWatch
from infrablocks.kubernetes._list_watch import Timing
from tests.kubernetes_client.api_server import JOBS, PODS, Answer, status
from tests.kubernetes_client.kubeconfigs import cluster_config
from tests.processes import WAIT_SECONDS, open_files, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._job_watch import JobSubscription
    from tests.kubernetes_client.api_server import ApiServer

RUN = "a" * 32
# None of them passes in a test.
QUICK = Timing(idle=3600.0, watch=3600.0, read=WAIT_SECONDS, between=0.05)


@contextmanager
def subscribed(watch: JobWatch, run_id: str = RUN) -> Iterator[JobSubscription]:
    """Listen to a run."""
    subscription = watch.subscribe(run_id)
    try:
        watch.wait_until_listed(WAIT_SECONDS)
        yield subscription
    finally:
        subscription.close()
        wait_for_the_threads()


def wait_for_the_threads() -> None:
    """Wait for the end of watches that were stopped."""
    for thread in threading.enumerate():
        if thread.name.startswith("infrablocks-watch"):
            thread.join(WAIT_SECONDS)


def seen(subscription: JobSubscription, done: Callable[[JobSnapshot], bool]) -> JobSnapshot:
    """Give the first snapshot that is as wanted."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not done(snapshot := subscription.snapshot()):
        assert time.monotonic() < deadline, snapshot
        time.sleep(0.01)
    return snapshot


def active(count: int) -> Callable[[JobSnapshot], bool]:
    """Say whether the Job was seen with so many active pods."""
    return lambda snapshot: snapshot.job is not None and snapshot.job["status"].get("active") == count


def test_what_happens_to_the_job_and_its_pods_is_seen(plain_server: ApiServer, cluster: Cluster) -> None:
    """A snapshot holds the Job and its pods, cut down to what is used, and tells which are gone."""
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        assert subscription.snapshot() == JobSnapshot(None, job_deleted=False, pods=(), deleted_pods=frozenset())
        plain_server.put(JOBS, "job", RUN, spec={"backoffLimit": 0, "template": {}}, status={"active": 1})
        pod_status = {"phase": "Running", "containerStatuses": [{"name": "c", "image": "x", "state": {"running": {}}}]}
        plain_server.put(PODS, "pod", RUN, spec={"nodeName": "n", "volumes": []}, status=pod_status)
        plain_server.delete(PODS, "pod")
        snapshot = seen(subscription, lambda snapshot: bool(snapshot.deleted_pods) and snapshot.job is not None)

    def metadata(name: str, version: str) -> dict[str, Any]:
        return {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"infrablocks.io/run-id": RUN},
        }

    assert snapshot == JobSnapshot(
        job={"metadata": metadata("job", "101"), "spec": {"backoffLimit": 0}, "status": {"active": 1}},
        job_deleted=False,
        pods=(
            {
                "metadata": metadata("pod", "103"),
                "spec": {"nodeName": "n"},
                "status": {"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {}}}]},
            },
        ),
        deleted_pods=frozenset({"uid-pod"}),
    )


def test_one_list_and_one_watch_of_each_kind_serve_all_runs(plain_server: ApiServer, cluster: Cluster) -> None:
    """Fifty runs make two lists and two watches, and each hears of its own Job only."""
    watch = JobWatch(cluster, "default", QUICK)
    runs = [f"{number:032x}" for number in range(50)]
    with subscribed(watch):
        others = [watch.subscribe(run) for run in runs]
        for number, run in enumerate(runs):
            plain_server.put(JOBS, f"job-{number}", run, spec={}, status={"active": number})
        snapshots = [seen(one, lambda snapshot: snapshot.job is not None) for one in others]
        for one in others:
            one.close()
    assert [snapshot.job and snapshot.job["metadata"]["name"] for snapshot in snapshots] == [
        f"job-{number}" for number in range(50)
    ]
    assert sorted(plain_server.lines()) == [f"GET {PODS}", f"GET {JOBS}", f"WATCH {PODS}", f"WATCH {JOBS}"]


def test_the_end_of_the_last_subscription_ends_threads_and_connections(plain_server: ApiServer) -> None:
    """None is left, and as many files are open afterwards as before."""
    wait_for_the_threads()  # of earlier tests
    before = open_files()
    cluster = acquire_cluster(cluster_config(plain_server))
    first, second = cluster.job_watch("default").subscribe("1"), cluster.job_watch("default").subscribe("2")
    cluster.job_watch("default").wait_until_listed(WAIT_SECONDS)
    first.close()
    first.close()
    assert watching_threads() == ["infrablocks-watch-jobs", "infrablocks-watch-pods"]
    second.close()
    wait_for_the_threads()
    release_cluster(cluster)
    wait_until(lambda: not plain_server.open_now and open_files() <= before)
    assert watching_threads() == []


def watching_threads() -> list[str]:
    """Give the names of the threads that watch."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("infrablocks-watch"))


def test_a_watch_that_is_cut_goes_on_where_it_was(plain_server: ApiServer, cluster: Cluster) -> None:
    """What happens while no watch is open is heard afterwards, without a new list."""
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 1})
        seen(subscription, active(1))
        plain_server.answer("WATCH .*jobs", status(503, "ServiceUnavailable", "busy"), times=0)
        plain_server.cut("WATCH .*jobs")
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 2})
        seen(subscription, active(2))
    assert plain_server.lines("GET .*jobs") == [f"GET {JOBS}"]
    versions = [
        request.query["resourceVersion"] for request in plain_server.requests if request.line == f"WATCH {JOBS}"
    ]
    assert versions[:2] == ["100", "101"]


def test_a_watch_that_is_cut_within_a_line_loses_nothing(plain_server: ApiServer, cluster: Cluster) -> None:
    """Half an event is not taken for one; the whole comes on the next connection."""
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        plain_server.cut("WATCH .*jobs", last_words=b'{"type":"MODIFIED","object":{"metadata":{"uid":"uid-')
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 3})
        snapshot = seen(subscription, active(3))
    assert snapshot.job is not None
    assert snapshot.job["metadata"]["uid"] == "uid-job"
    assert plain_server.lines("GET .*jobs") == [f"GET {JOBS}"]


def test_a_bookmark_moves_the_place_where_a_watch_goes_on(plain_server: ApiServer, cluster: Cluster) -> None:
    """After a bookmark the next watch asks for what came after it, so that an old version is never asked for."""
    watch = JobWatch(cluster, "default", QUICK)
    with subscribed(watch):
        for _ in range(5):
            plain_server.bookmark(JOBS)
        plain_server.compact()
        plain_server.bookmark(JOBS)
        wait_until(lambda: watch._watches[0]._version == "107")
        plain_server.cut("WATCH .*jobs")
        plain_server.wait_for("WATCH .*jobs", 2)
    watches = [request.query for request in plain_server.requests if request.line == f"WATCH {JOBS}"]
    assert [(query["resourceVersion"], query["allowWatchBookmarks"]) for query in watches[:2]] == [
        ("100", "true"),
        ("107", "true"),
    ]
    assert plain_server.lines("GET .*jobs") == [f"GET {JOBS}"]


def test_an_expired_version_that_comes_as_an_event_is_followed_by_a_list(
    plain_server: ApiServer, cluster: Cluster
) -> None:
    """After an ERROR event with 410, what was missed is learned from a list: also that something is gone."""
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 1})
        plain_server.put(PODS, "pod", RUN, spec={}, status={"phase": "Running"})
        seen(subscription, lambda snapshot: snapshot.job is not None and bool(snapshot.pods))
        plain_server.delete(JOBS, "job", quietly=True)
        plain_server.compact()
        plain_server.cut("WATCH")
        snapshot = seen(subscription, lambda snapshot: snapshot.job_deleted)
    assert snapshot.job is not None
    assert snapshot.job["status"] == {"active": 1}
    assert [pod["status"]["phase"] for pod in snapshot.pods] == ["Running"]
    assert snapshot.deleted_pods == frozenset()


def test_an_expired_version_that_comes_as_a_status_is_followed_by_a_list(
    plain_server: ApiServer, cluster: Cluster
) -> None:
    """The same where the API server answers 410 in place of the watch."""
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 1})
        seen(subscription, active(1))
        plain_server.answer("WATCH .*jobs", status(410, "Expired", "too old resource version: 101 (200)"))
        plain_server.cut("WATCH .*jobs")
        plain_server.delete(JOBS, "job", quietly=True)
        seen(subscription, lambda snapshot: snapshot.job_deleted)
    assert len(plain_server.lines("GET .*jobs")) == 2


def test_silence_opens_the_watch_again(plain_server: ApiServer, cluster: Cluster) -> None:
    """A connection on which nothing comes for longer than bookmarks take is given up, and nothing is lost."""
    with subscribed(JobWatch(cluster, "default", replace(QUICK, idle=0.5))) as subscription:
        plain_server.stall()
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 7})
        plain_server.wait_for("WATCH .*jobs", 2)
        plain_server.go_on()
        seen(subscription, active(7))
    assert plain_server.lines("GET .*jobs") == [f"GET {JOBS}"]


def test_a_storm_of_expired_versions_makes_few_requests(plain_server: ApiServer, cluster: Cluster) -> None:
    """However often the API server says 410, a watch asks at most twice a second, and the Job is seen after."""
    with subscribed(JobWatch(cluster, "default", Timing())) as subscription:
        begin = time.monotonic()
        plain_server.answer("WATCH", status(410, "Expired", "too old resource version"), times=10**6)
        plain_server.cut("WATCH")
        plain_server.wait_for("WATCH .*jobs", 3)
        seconds = time.monotonic() - begin
        during = [request for request in plain_server.requests if request.at > begin]
        plain_server._faults.clear()
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 9})
        seen(subscription, active(9))
    for path in (JOBS, PODS):
        assert sum(request.path == path for request in during) <= 2 * seconds + 2


def test_any_number_of_cuts_changes_nothing(plain_server: ApiServer, cluster: Cluster) -> None:
    """A hundred resets in a row cost a bounded number of requests and no news."""
    begin = time.monotonic()
    with subscribed(JobWatch(cluster, "default", Timing())) as subscription:
        for number in range(100):
            plain_server.cut("WATCH")
            plain_server.put(JOBS, "job", RUN, spec={}, status={"active": number})
            time.sleep(0.002)
        seen(subscription, active(99))
    assert len(plain_server.lines("jobs")) <= 11 + 2 * (time.monotonic() - begin)


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("resource", ["jobs.batch", "pods"])
def test_a_right_that_is_missing_is_told_before_anything_is_made(
    plain_server: ApiServer, cluster: Cluster, verb: str, resource: str
) -> None:
    """Waiting for the list raises at once, and names verb, resource, namespace and user as the API server does."""
    method, name = {"list": "GET", "watch": "WATCH"}[verb], resource.partition(".")[0]
    message = f'{resource} is forbidden: User "u" cannot {verb} resource "{name}" in the namespace "default"'
    plain_server.answer(f"{method} .*{name}", status(403, "Forbidden", message), times=10**6)
    watch = JobWatch(cluster, "default", QUICK)
    subscription, begin = watch.subscribe(RUN), time.monotonic()
    with pytest.raises(InfrastructureNotAvailable) as caught:
        watch.wait_until_listed(2 * WAIT_SECONDS)
    subscription.close()
    wait_for_the_threads()
    assert time.monotonic() - begin < WAIT_SECONDS
    assert str(caught.value) == (
        f"The Kubernetes cluster at {plain_server.address} does not allow this: {message}. "
        "Give this user a Role with that right, or use another user."
    )


def test_a_cluster_that_is_busy_is_waited_for(plain_server: ApiServer, cluster: Cluster) -> None:
    """What may pass (429, 500, 503) fails nobody at the first list."""
    for code in (429, 500, 503):
        plain_server.answer("GET .*jobs", status(code, "", "later"))
    with subscribed(JobWatch(cluster, "default", QUICK)):
        pass
    assert len(plain_server.lines("GET .*jobs")) == 4


def test_a_cluster_that_does_not_answer_is_told_in_time(plain_server: ApiServer, cluster: Cluster) -> None:
    """Waiting for the list ends when its time is over."""
    plain_server.stall()
    watch = JobWatch(cluster, "default", QUICK)
    subscription = watch.subscribe(RUN)
    with pytest.raises(InfrastructureNotAvailable, match=f"at {plain_server.address} did not answer in time to GET /"):
        watch.wait_until_listed(0.2)
    subscription.close()
    plain_server.go_on()
    wait_for_the_threads()


@pytest.mark.anyio
async def test_a_cluster_that_is_gone_for_long_is_told_to_those_who_wait(plain_server: ApiServer) -> None:
    """After the time to give up, the subscription has the error, and its run is woken."""
    cluster = acquire_cluster(cluster_config(plain_server))
    watch = JobWatch(cluster, "default", Timing(idle=0.5, give_up=0.5, between=0.05))
    subscription = watch.subscribe(RUN)
    await run_in_worker_thread(lambda: watch.wait_until_listed(WAIT_SECONDS))
    plain_server.answer("", status(503, "ServiceUnavailable", "the server is shutting down"), times=10**6)
    await run_in_worker_thread(lambda: plain_server.cut("WATCH"))
    with fail_after(WAIT_SECONDS):
        while subscription.error is None:
            await subscription.wait()
    subscription.close()
    await run_in_worker_thread(wait_for_the_threads)
    release_cluster(cluster)
    assert "answered 503 to GET" in str(subscription.error)


@pytest.mark.anyio
async def test_a_run_is_woken_by_changes_and_by_nothing_else(plain_server: ApiServer) -> None:
    """What changes wakes the run, also before it waits; what is not kept of an object does not."""
    cluster = acquire_cluster(cluster_config(plain_server))
    watch = JobWatch(cluster, "default")
    subscription, other = watch.subscribe(RUN), watch.subscribe("b" * 32)
    await run_in_worker_thread(lambda: watch.wait_until_listed(WAIT_SECONDS))
    with fail_after(WAIT_SECONDS):
        async with create_task_group() as group:
            group.start_soon(subscription.wait)
            plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 1})
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 2})
        await subscription.wait()
    plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 2, "uncountedTerminatedPods": {}})
    plain_server.put(JOBS, "other", "b" * 32, spec={}, status={"active": 3})
    await run_in_worker_thread(lambda: seen(other, active(3)))
    assert not await subscription.wait(time.monotonic() + 0.1)
    other.close()
    subscription.close()
    await run_in_worker_thread(wait_for_the_threads)
    release_cluster(cluster)


def test_a_run_that_was_there_before_is_loaded(plain_server: ApiServer, cluster: Cluster) -> None:
    """One request for each kind gives what there is of a run; the watch goes on from there."""
    watch = JobWatch(cluster, "default", QUICK)
    plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 4})
    other = watch.subscribe("c" * 32)
    watch.wait_until_listed(WAIT_SECONDS)
    with subscribed(watch) as subscription:
        other.close()
        assert subscription.snapshot().job is None
        subscription.load()
        assert active(4)(subscription.snapshot())
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 5})
        seen(subscription, active(5))


def test_a_run_that_begins_while_a_list_is_under_way_misses_nothing(plain_server: ApiServer, cluster: Cluster) -> None:
    """Its Job may be older than the list's version and yet not be in the list, which was asked for before."""
    watch = JobWatch(cluster, "default", QUICK)
    second: list[JobSubscription] = []

    def come_in_between(_: object) -> None:
        second.append(watch.subscribe("b" * 32))
        plain_server.put(JOBS, "job-b", "b" * 32, spec={}, status={"active": 1})

    with subscribed(watch):
        plain_server.compact()
        plain_server.answer("GET .*jobs", come_in_between)
        plain_server.cut("WATCH .*jobs")
        plain_server.wait_for("GET .*jobs", 2)
        wait_until(lambda: second)
        seen(second[0], active(1))
        second[0].close()
    selectors = [one.query["labelSelector"] for one in plain_server.requests if one.line == f"GET {JOBS}"]
    assert selectors[1:] == [f"infrablocks.io/run-id in ({RUN})", f"infrablocks.io/run-id in ({'b' * 32})"]


def test_many_runs_are_listed_page_by_page(plain_server: ApiServer, cluster: Cluster) -> None:
    """After an expired version, 450 runs are listed in three requests, and all of them learn what has changed."""
    watch = JobWatch(cluster, "default", QUICK)
    runs = [f"{number:032x}" for number in range(450)]
    subscriptions = [watch.subscribe(run) for run in runs]
    watch.wait_until_listed(WAIT_SECONDS)
    plain_server.compact()
    for number, run in enumerate(runs):
        plain_server.put(JOBS, f"job-{number}", run, spec={}, status={"active": 1})
    plain_server.compact()
    before = len(plain_server.lines("GET .*jobs"))
    plain_server.cut("WATCH .*jobs")
    for subscription in subscriptions:
        seen(subscription, active(1))
    plain_server.wait_for("GET .*jobs", before + 3)
    queries = [request.query for request in plain_server.requests if request.line == f"GET {JOBS}"][before:]
    for subscription in subscriptions:
        subscription.close()
    wait_for_the_threads()
    assert [(query["labelSelector"], query["limit"], query.get("continue")) for query in queries] == [
        ("infrablocks.io/run-id", "200", None),
        ("infrablocks.io/run-id", "200", "200"),
        ("infrablocks.io/run-id", "200", "400"),
    ]


def test_what_cannot_be_understood_ends_no_watch(plain_server: ApiServer, cluster: Cluster) -> None:
    """An answer that is no list, and a line that is no event, are asked for again."""
    plain_server.answer("GET .*jobs", Answer(200, b"<html>"))
    plain_server.answer("WATCH .*jobs", Answer(200, b"not an event\n"))
    with subscribed(JobWatch(cluster, "default", QUICK)) as subscription:
        plain_server.put(JOBS, "job", RUN, spec={}, status={"active": 1})
        seen(subscription, active(1))
