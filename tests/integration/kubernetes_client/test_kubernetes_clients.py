"""Who a client is to real clusters, and which one it reaches."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._errors import AccessRefused, ApiRefusal, ClusterUnreachable
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.integration.kubernetes_client.objects import make_job, new_run_id
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks.kubernetes._client import Cluster as Client
    from tests.engines.cluster import Cluster
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = pytest.mark.integration


def who_am_i(client: Client) -> str:
    """Ask the cluster who the user of a client is."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    review = client.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    return str(review["status"]["userInfo"]["username"])


def with_user(cluster: Cluster, user: dict[str, Any]) -> KubernetesClusterConfig:
    """Give the block of a cluster and a user."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = user
    return KubernetesClusterConfig(config=config, context_name=config["current-context"])


def test_every_kind_of_credential(cluster: Kubernetes, tmp_path: Path) -> None:
    """Tokens, token files, client certificates and plugins are who they should be."""
    token = cluster.users.token("admin")
    (tmp_path / "token").write_text(token)
    certificate, key = cluster.client_certificate
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"print({json.dumps(credential)!r})"],
        "interactiveMode": "Never",
    }
    users: list[dict[str, Any]] = [
        {"token": token},
        {"tokenFile": str(tmp_path / "token")},
        {"exec": plugin},
        {"client-certificate": str(certificate), "client-key": str(key)},
    ]
    names = []
    for user in users:
        with borrowed_cluster(with_user(cluster, user)) as client:
            names.append(who_am_i(client))
    assert names[:3] == [names[0]] * 3
    assert "anonymous" not in " ".join(names)


def test_the_kubeconfig_of_the_environment(cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a block, the current context of KUBECONFIG says which cluster."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    with borrowed_cluster(None) as client:
        assert client.address == cluster.address
        assert client.call("GET", "/version")["gitVersion"].startswith("v1.")


def test_two_clusters_at_once_get_what_is_theirs(cluster: Kubernetes, second_cluster: Cluster) -> None:
    """Of twenty Jobs made at the same time, ten are in the one cluster and ten in the other, whose ids differ."""
    with cluster.namespace() as first, second_cluster.namespace() as second:
        run_id = new_run_id()
        places = [(cluster.kubeconfig, first), (second_cluster.kubeconfig, second)] * 10

        def make(place: tuple[Path, str]) -> str:
            config = KubernetesClusterConfig.from_file(place[0])
            with borrowed_cluster(config) as client:
                job = {
                    "metadata": {"generateName": "job-", "labels": {"infrablocks.io/run-id": run_id}},
                    "spec": {
                        "suspend": True,
                        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}},
                    },
                }
                client.call("POST", f"/apis/batch/v1/namespaces/{place[1]}/jobs", body=job)
                return client.cluster_id

        with ThreadPoolExecutor(20) as pool:
            ids = list(pool.map(make, places))
        found = [
            len(one.api("GET", f"/apis/batch/v1/namespaces/{name}/jobs")["items"])
            for one, name in ((cluster, first), (second_cluster, second))
        ]
    assert found == [10, 10]
    assert (len(set(ids[::2])), len(set(ids[1::2])), len(set(ids))) == (1, 1, 2)


def test_a_token_that_nobody_has(cluster: Kubernetes) -> None:
    """The error says what to do, and not the token."""
    with (
        borrowed_cluster(with_user(cluster, {"token": "s3cret-token"})) as client,
        pytest.raises(AccessRefused, match="does not accept the credentials .401 Unauthorized.") as caught,
    ):
        client.call("GET", "/api/v1/namespaces/default/pods")
    assert "s3cret" not in str(caught.value)


def test_what_the_api_refuses(cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """The server's own words arrive: about rights, what is not there, and what is not understood."""
    pods = f"/api/v1/namespaces/{kubernetes_namespace}/pods"
    config = KubernetesClusterConfig.from_file(cluster.kubeconfig_for("stranger"))
    with borrowed_cluster(config) as stranger, pytest.raises(AccessRefused) as forbidden:
        stranger.call("GET", pods)
    assert forbidden.value.status == 403
    right = f'cannot list resource "pods" in API group "" in the namespace "{kubernetes_namespace}"'
    assert right in str(forbidden.value)
    with borrowed_cluster(KubernetesClusterConfig.from_file(cluster.kubeconfig)) as client:
        with pytest.raises(ApiRefusal) as missing:
            client.call("GET", f"{pods}/none")
        with pytest.raises(ApiRefusal) as invalid:
            client.call("POST", pods, query={"fieldValidation": "Strict"}, body={"spec": {"colour": "red"}})
    assert (missing.value.status, missing.value.reason) == (404, "NotFound")
    assert missing.value.message == 'pods "none" not found'
    assert invalid.value.status in {400, 422}
    assert 'unknown field "spec.colour"' in invalid.value.message


def test_a_write_whose_answer_was_lost_has_happened_once(
    client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str
) -> None:
    """The client does not send it again, and says that it may have happened."""
    path = f"/api/v1/namespaces/{kubernetes_namespace}/configmaps"
    before = len(cluster.api("GET", path)["items"])
    proxy.lose_answer("POST")
    with pytest.raises(ClusterUnreachable) as caught:
        client.call("POST", path, body={"metadata": {"generateName": "a-"}})
    assert caught.value.sent
    assert len(cluster.api("GET", path)["items"]) == before + 1


def test_a_read_is_repeated_until_it_is_answered(client: Client, proxy: ApiProxy, kubernetes_namespace: str) -> None:
    """Refusals that pass, lost answers and cut connections cost a read nothing but time."""
    path = f"/api/v1/namespaces/{kubernetes_namespace}/pods"
    proxy.answer("GET .*pods", 503)
    proxy.answer("GET .*pods", 429, retry_after=1)
    proxy.lose_answer("GET .*pods")
    assert client.call("GET", path)["items"] == []
    assert len(proxy.lines("GET .*pods")) == 4


def test_an_answer_that_is_held_back_ends_in_time(client: Client, proxy: ApiProxy) -> None:
    """A write that nobody answers is given up after its time limit."""
    proxy.hold_answer("POST")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    begin = time.monotonic()
    with pytest.raises(ClusterUnreachable, match="no answer in time"):
        client.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body, read_seconds=0.5)
    assert time.monotonic() - begin < 30  # without a limit of its own it would be 60


def test_calls_one_after_the_other_use_one_connection(client: Client, proxy: ApiProxy) -> None:
    """There is no handshake for each call; after many calls at once, no connection is left but those in use."""
    for _ in range(20):
        client.call("GET", "/version")
    assert proxy.most_open == 1
    barrier = threading.Barrier(30)

    def call(_: int) -> None:
        barrier.wait(WAIT_SECONDS)
        client.call("GET", "/version")

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(call, range(30)))
    wait_until(lambda: len(proxy.open_now) <= 1)


def test_a_list_for_many_runs(client: Client, cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str) -> None:
    """After an expired version one list, which does not name its hundred and ten runs, finds their Jobs."""
    watch = client.job_watch(kubernetes_namespace)
    runs = [new_run_id() for _ in range(110)]
    subscriptions = [watch.subscribe(run_id) for run_id in runs]
    watch.wait_until_listed(WAIT_SECONDS)
    proxy.stall("jobs.*watch=true")
    names = [make_job(cluster, kubernetes_namespace, run_id) for run_id in runs[-10:]]
    proxy.answer("jobs.*watch=true", 410, reason="Expired")
    proxy.cut("jobs.*watch=true")
    wait_until(lambda: all(subscription.snapshot().job for subscription in subscriptions[-10:]))
    jobs = [subscription.snapshot().job for subscription in subscriptions[-10:]]
    for subscription in subscriptions:
        subscription.close()
    assert [job and job["metadata"]["name"] for job in jobs] == names
    assert proxy.lines("jobs.*limit=200")[1:] == [
        f"GET /apis/batch/v1/namespaces/{kubernetes_namespace}/jobs?labelSelector=infrablocks.io/run-id&limit=200"
    ]
