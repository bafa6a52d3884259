"""The client of a cluster: what it sends, and who shares it."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from infrablocks.kubernetes import _clusters
from infrablocks.kubernetes._clusters import acquire_cluster, borrowed_cluster, release_cluster
from tests.kubernetes_client.api_server import JOBS, Answer, ApiServer, Request
from tests.kubernetes_client.kubeconfigs import authority, block, cluster_config, encoded
from tests.processes import WAIT_SECONDS, open_files, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes.cluster import KubernetesClusterConfig


def test_a_call_sends_json_and_gives_json(plain_server: ApiServer, cluster: Cluster) -> None:
    """Method, path, query, body and token arrive as they were given."""
    answer = cluster.call("POST", "/x", query={"fieldSelector": "a=b&c", "dryRun": "All"}, body={"a": "é"})
    assert answer == {
        "kind": "Echo",
        "method": "POST",
        "body": {"a": "é"},
        "query": {"fieldSelector": "a=b&c", "dryRun": "All"},
    }
    headers = plain_server.requests[0].headers
    assert (headers["authorization"], headers["content-type"]) == ("Bearer t0ken", "application/json")
    assert headers["user-agent"].startswith("infrablocks/")


def test_tls_with_a_client_certificate_leaves_no_key_on_the_disk(
    server: ApiServer, certificate_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is checked, the client's certificate is shown, and the file that held the key is gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = certificate_folder / "client"
    user = {"client-certificate-data": encoded(client / "cert.pem"), "client-key-data": encoded(client / "key.pem")}
    with borrowed_cluster(block({"server": server.address, **authority(certificate_folder)}, user)) as cluster:
        cluster.call("GET", "/x")
    user = {"client-certificate": str(client / "cert.pem"), "client-key": str(client / "key.pem")}
    paths = {"server": server.address, "certificate-authority": str(certificate_folder / "ca.pem")}
    with borrowed_cluster(block(paths, user)) as other:
        other.call("GET", "/x")
    assert [request.certificate for request in server.requests] == ["infrablocks client"] * 2
    assert "authorization" not in server.requests[0].headers
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("infrablocks-", "tmp"))] == []


def test_a_user_with_a_password(plain_server: ApiServer) -> None:
    """A name and a password are sent as HTTP has it."""
    with borrowed_cluster(cluster_config(plain_server, user={"username": "me", "password": "pw"})) as cluster:
        cluster.call("GET", "/x")
    assert plain_server.requests[0].headers["authorization"] == "Basic bWU6cHc="


def test_the_id_of_a_cluster(server: ApiServer, certificate_folder: Path) -> None:
    """Whoever asks, and however its authority is named, a cluster has one id, made of address and authority."""
    entry = authority(certificate_folder)
    ids = {_id({"server": server.address, **entry}, {"token": token}) for token in ("a", "b")}
    file = {"server": server.address, "certificate-authority": str(certificate_folder / "ca.pem")}
    assert ids == {_id(file, {})}
    assert all(len(one) == 8 and int(one, 16) >= 0 for one in ids)
    assert _id({"server": "https://elsewhere:1", **entry}, {}) not in ids
    assert _id({"server": "http://a:1/"}, {}) == _id({"server": "http://a:1"}, {"token": "b"})
    assert _id({"server": "http://a:1"}, {}) != _id({"server": "http://a:2"}, {})


def _id(cluster: dict[str, Any], user: dict[str, Any]) -> str:
    with borrowed_cluster(block(cluster, user)) as borrowed:
        return borrowed.cluster_id


def test_two_clusters_at_once(plain_server: ApiServer, server: ApiServer, certificate_folder: Path) -> None:
    """Ten calls of one cluster and ten of another at the same time reach each its own."""
    blocks = [cluster_config(plain_server), cluster_config(server, certificate_folder)] * 10

    def call(config: KubernetesClusterConfig) -> None:
        with borrowed_cluster(config) as cluster:
            cluster.call("GET", f"/{cluster.address.partition(':')[0]}")

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(call, blocks))
    assert plain_server.lines() == ["GET /http"] * 10
    assert server.lines() == ["GET /https"] * 10


def test_the_same_cluster_is_shared_and_its_last_user_closes_it(plain_server: ApiServer) -> None:
    """A hundred calls one after the other use one connection, which is closed with the last release."""
    files = open_files()
    first, second = acquire_cluster(cluster_config(plain_server)), acquire_cluster(cluster_config(plain_server))
    assert first is second
    for _ in range(100):
        first.call("GET", "/x")
    release_cluster(first)
    assert plain_server.open_now == 1
    release_cluster(second)
    plain_server.wait_until_closed()
    assert plain_server.most_open == 1
    wait_until(lambda: open_files() <= files)  # the server closes its own side a moment after it has counted


def test_the_pool_of_connections_is_not_filled_with_places(plain_server: ApiServer, cluster: Cluster) -> None:
    """It begins empty, which takes no time, and keeps what comes back."""
    kept: Any = cluster._connected().pool.connection_from_url(plain_server.address).pool
    assert (kept.qsize(), kept.maxsize) == (0, 0)
    cluster.call("GET", "/x")
    assert kept.qsize() == 1


def test_a_burst_leaves_the_connections_of_streams_only(plain_server: ApiServer, cluster: Cluster) -> None:
    """Calls at the same time have a connection each, which are closed after them though a stream is still read."""
    stream = cluster.open_stream(JOBS, {"watch": "true", "resourceVersion": "0"}, read_seconds=WAIT_SECONDS)
    all_there = threading.Barrier(8)

    def answer(_: Request) -> Answer:
        all_there.wait(WAIT_SECONDS)
        return Answer(200, {"kind": "Echo"})

    plain_server.answer("GET /x", answer, times=8)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cluster.call, "GET", "/x") for _ in range(8)]
        assert [one.result()["kind"] for one in answers] == ["Echo"] * 8
    assert plain_server.most_open == 9
    plain_server.wait_until_closed(but_for=1)
    stream.close()


def test_sixty_first_uses_at_once(plain_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    """All work, with at most as many connections as calls, of which none is left; no log line complains."""
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: _call_once(plain_server), range(60)))
    assert [answer["kind"] for answer in answers] == ["Echo"] * 60
    plain_server.wait_until_closed()
    assert caplog.records == []


def _call_once(server: ApiServer) -> dict[str, Any]:
    with borrowed_cluster(cluster_config(server)) as cluster:
        return cluster.call("GET", "/x")


# Python warns of every fork beside threads; the child looks at one variable and ends.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_process_makes_its_own_client(plain_server: ApiServer, cluster: Cluster) -> None:
    """After a fork nothing is shared with the parent, whose connection goes on."""
    cluster.call("GET", "/parent")
    child = os.fork()
    if not child:
        try:
            os._exit(0 if _clusters._clusters == {} else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    cluster.call("GET", "/parent")
    assert plain_server.most_open == 1
