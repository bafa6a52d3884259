"""The list and watch on a real API server, with a proxy that disturbs it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._job_watch import JobSnapshot, JobWatch
from infrablocks.kubernetes._list_watch import Timing
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.integration.kubernetes_client.objects import change_job, delete_job, make_job, make_pod, new_run_id
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrablocks.kubernetes._client import Cluster as Client
    from infrablocks.kubernetes._job_watch import JobSubscription
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = pytest.mark.integration


@contextmanager
def subscribed(client: Client, namespace: str, run_id: str, timing: Timing | None = None) -> Iterator[JobSubscription]:
    """Listen to a run."""
    watch = JobWatch(client, namespace, timing)
    subscription = watch.subscribe(run_id)
    try:
        watch.wait_until_listed(WAIT_SECONDS)
        yield subscription
    finally:
        subscription.close()
        for thread in threading.enumerate():
            if thread.name.startswith("infrablocks-watch"):
                thread.join(WAIT_SECONDS)


def seen(subscription: JobSubscription, done: Callable[[JobSnapshot], bool]) -> JobSnapshot:
    """Give the first snapshot that is as wanted."""
    wait_until(lambda: done(subscription.snapshot()))
    return subscription.snapshot()


def has_limit(limit: int) -> Callable[[JobSnapshot], bool]:
    """Say whether the Job was seen with this backoffLimit."""
    return lambda snapshot: snapshot.job is not None and snapshot.job["spec"]["backoffLimit"] == limit


def test_a_job_is_seen_from_its_beginning_to_its_end(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """Conditions, exit code and deletion arrive; one list and one watch of each kind were enough."""
    run_id = new_run_id()
    with subscribed(client, kubernetes_namespace, run_id) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id, suspend=False)
        ended = seen(subscription, lambda snapshot: bool(snapshot.job and snapshot.job["status"].get("completionTime")))
        delete_job(cluster, kubernetes_namespace, name)
        gone = seen(subscription, lambda snapshot: snapshot.job_deleted and len(snapshot.deleted_pods) == 1)
    assert ended.job is not None
    assert [condition["type"] for condition in ended.job["status"]["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    (pod,) = gone.pods
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    lines = [line.partition("?")[0] + "?watch" * ("watch=true" in line) for line in proxy.lines(kubernetes_namespace)]
    jobs = f"GET /apis/batch/v1/namespaces/{kubernetes_namespace}/jobs"
    pods = f"GET /api/v1/namespaces/{kubernetes_namespace}/pods"
    assert sorted(lines) == sorted([jobs, f"{jobs}?watch", pods, f"{pods}?watch"])


def test_cuts_lose_nothing_and_cost_few_requests(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """Twenty resets, some within an event: every state arrives in the end, without a second list."""
    run_id = new_run_id()
    begin = time.monotonic()
    with subscribed(client, kubernetes_namespace, run_id) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id)
        for number in range(1, 21):
            proxy.cut_after("jobs.*watch=true", 300 + 50 * number)
            proxy.cut("watch=true")
            change_job(cluster, kubernetes_namespace, name, backoffLimit=number)
        seen(subscription, has_limit(20))
    # Some may come at once, and then one a second.
    assert len(proxy.lines("jobs.*watch=true")) <= 5 + (time.monotonic() - begin)
    assert len(proxy.lines("jobs.*limit=200")) == 1


def test_an_expired_version_leads_to_a_list_that_finds_what_is_gone(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """A Job that was deleted while the watch could not go on is seen to be gone."""
    run_id = new_run_id()
    with subscribed(client, kubernetes_namespace, run_id) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id)
        seen(subscription, has_limit(0))
        proxy.answer("jobs.*watch=true", 410, reason="Expired")
        proxy.stall("jobs.*watch=true")
        delete_job(cluster, kubernetes_namespace, name)
        proxy.cut("jobs.*watch=true")
        seen(subscription, lambda snapshot: snapshot.job_deleted)
    assert len(proxy.lines("jobs.*limit=200")) == 2


@pytest.mark.parametrize("status", [410, 429, 500, 503])
def test_a_storm_of_refusals_makes_few_requests(
    status: int, client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """At most two requests a second come for each kind, and afterwards what has happened is seen."""
    run_id = new_run_id()
    with subscribed(client, kubernetes_namespace, run_id) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id)
        seen(subscription, has_limit(0))
        proxy.answer("watch=true", status, times=10**6)
        begin = time.monotonic()
        proxy.cut("watch=true")
        proxy.wait_for("jobs.*watch=true", 4)
        during = [request.line for request in list(proxy.requests) if request.at > begin]
        seconds = time.monotonic() - begin
        proxy.forget()
        change_job(cluster, kubernetes_namespace, name, backoffLimit=5)
        seen(subscription, has_limit(5))
    for kind in ("/jobs", "/pods"):
        assert sum(kind in line for line in during) <= 2 * seconds + 2


def test_silence_is_noticed(client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str) -> None:
    """A connection that nothing comes through any more is given up, and nothing is lost."""
    run_id = new_run_id()
    with subscribed(client, kubernetes_namespace, run_id, Timing(idle=3.0)) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id)
        seen(subscription, has_limit(0))
        wait_until(lambda: proxy.stall("jobs.*watch=true") == 1)  # there is none while one follows another
        change_job(cluster, kubernetes_namespace, name, backoffLimit=3)
        seen(subscription, has_limit(3))
    assert len(proxy.lines("jobs.*limit=200")) == 1


def test_a_cluster_that_comes_back(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """What happened while the API server was gone is seen when it is there again."""
    run_id = new_run_id()
    with subscribed(client, kubernetes_namespace, run_id) as subscription:
        name = make_job(cluster, kubernetes_namespace, run_id)
        seen(subscription, has_limit(0))
        proxy.refuse()
        change_job(cluster, kubernetes_namespace, name, backoffLimit=7)
        proxy.wait_for_refused(4)
        assert subscription.error is None
        proxy.accept()
        seen(subscription, has_limit(7))


def test_many_runs_share_two_connections(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """A hundred runs, of which some have a Job, are watched over two connections."""
    watch = client.job_watch(kubernetes_namespace)
    runs = [new_run_id() for _ in range(100)]
    subscriptions = [watch.subscribe(run_id) for run_id in runs]
    watch.wait_until_listed(WAIT_SECONDS)
    # More would keep the controllers busy when the next tests begin.
    names = [make_job(cluster, kubernetes_namespace, run_id) for run_id in runs[:10]]
    snapshots = [seen(subscription, has_limit(0)) for subscription in subscriptions[:10]]
    assert [snapshot.job and snapshot.job["metadata"]["name"] for snapshot in snapshots] == names
    assert sum("watch=true" in line for line in proxy.open_now) == 2
    assert len(proxy.open_now) <= 3
    for subscription in subscriptions:
        subscription.close()


@pytest.mark.parametrize(
    ("verbs", "missing"),
    [
        (["get"], 'cannot list resource "jobs" in API group "batch"'),
        (["get", "list"], 'cannot watch resource "jobs" in API group "batch"'),
    ],
)
def test_a_right_that_is_missing(
    verbs: list[str], missing: str, cluster: Kubernetes, kubernetes_namespace: str
) -> None:
    """Waiting for the list raises at once, and names verb, resource, namespace and user."""
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    ]
    account = cluster.service_account(kubernetes_namespace, rules, name=f"may-{'-'.join(verbs)}")
    with borrowed_cluster(KubernetesClusterConfig.from_file(account.kubeconfig)) as client:
        watch = client.job_watch(kubernetes_namespace)
        subscription, begin = watch.subscribe(new_run_id()), time.monotonic()
        with pytest.raises(InfrastructureNotAvailable, match=missing) as caught:
            watch.wait_until_listed(10 * WAIT_SECONDS)
        subscription.close()
    assert time.monotonic() - begin < WAIT_SECONDS
    assert f'in the namespace "{kubernetes_namespace}"' in str(caught.value)
    assert f'User "system:serviceaccount:{kubernetes_namespace}:{account.name}"' in str(caught.value)


def test_the_log_of_a_silent_container_keeps_nobody_waiting(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """A log is followed, and ended by another thread at once, whether or not its answer has begun."""
    name = make_pod(cluster, kubernetes_namespace, "sleep 1000")
    path = f"/api/v1/namespaces/{kubernetes_namespace}/pods/{name}"
    wait_until(lambda: client.call("GET", path)["status"]["phase"] == "Running")
    stream = client.stream(f"{path}/log", {"follow": "true"}, read_seconds=None)
    ended: list[object] = []

    def read() -> None:
        try:
            stream.open()
            ended.append(list(stream.chunks()))
        except InfrastructureNotAvailable as error:
            ended.append(error)
        finally:
            stream.close()

    reader = threading.Thread(target=read)
    reader.start()
    proxy.wait_for("/log", 1)
    time.sleep(0.5)
    assert ended == []
    stream.end()
    reader.join(WAIT_SECONDS)
    assert len(ended) == 1
