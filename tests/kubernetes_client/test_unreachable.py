"""What is said of clusters that are out of reach."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._clusters import acquire_cluster, borrowed_cluster
from infrablocks.kubernetes._errors import ClusterUnreachable
from tests.kubernetes_client.kubeconfigs import authority, block, cluster_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kubernetes_client.api_server import ApiServer


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_nobody_is_there(closed_port: int) -> None:
    """A refused connection is told with the address, and that nothing was received."""
    address = f"https://127.0.0.1:{closed_port}"
    with (
        borrowed_cluster(block({"server": address}, {"token": "t"})) as cluster,
        pytest.raises(ClusterUnreachable) as caught,
    ):
        cluster.call("GET", "/x")
    assert not caught.value.sent
    assert str(caught.value) == (
        f"Could not connect to the Kubernetes cluster at {address}: Connection refused. Check that the cluster runs "
        "and that the kubeconfig, its context or the cluster_config names the right one."
    )


def test_a_certificate_that_nobody_vouches_for(server: ApiServer) -> None:
    """The error says so, and where the authority is named."""
    with (
        borrowed_cluster(block({"server": server.address}, {"token": "t"})) as cluster,
        pytest.raises(ClusterUnreachable) as caught,
    ):
        cluster.call("GET", "/x")
    assert not caught.value.sent
    assert str(caught.value).startswith(
        f"Could not connect to the Kubernetes cluster at {server.address}: its certificate is not accepted ("
    )
    assert str(caught.value).endswith(
        "Check certificate-authority(-data) and tls-server-name of the cluster in the kubeconfig."
    )


def test_a_certificate_of_another_name(server: ApiServer, certificate_folder: Path) -> None:
    """`tls-server-name` says which name the certificate is for."""
    entry = {"server": server.address, **authority(certificate_folder)}
    with borrowed_cluster(block({**entry, "tls-server-name": "localhost"}, {})) as cluster:
        cluster.call("GET", "/x")
    with (
        borrowed_cluster(block({**entry, "tls-server-name": "elsewhere"}, {})) as cluster,
        pytest.raises(ClusterUnreachable, match="its certificate is not accepted .Hostname mismatch"),
    ):
        cluster.call("GET", "/x")


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_server_that_is_not_checked(server: ApiServer) -> None:
    """`insecure-skip-tls-verify` takes any certificate, with the warning of the SDK."""
    with borrowed_cluster(block({"server": server.address, "insecure-skip-tls-verify": True}, {})) as cluster:
        assert cluster.call("GET", "/x")["kind"] == "Echo"


def test_tls_where_there_is_none(plain_server: ApiServer) -> None:
    """`https:` in front of a server without TLS is told."""
    address = plain_server.address.replace("http:", "https:")
    with (
        borrowed_cluster(block({"server": address}, {})) as cluster,
        pytest.raises(
            ClusterUnreachable, match=r"TLS failed \(wrong version number\). Check that the server's address"
        ),
    ):
        cluster.call("GET", "/x")


@pytest.mark.parametrize(
    ("cluster_entry", "user", "message"),
    [
        (
            {"certificate-authority": "/no/ca"},
            {},
            "certificate-authority of the cluster at https://a:1: /no/ca cannot be",
        ),
        (
            {"certificate-authority-data": "c2VjcmV0"},
            {},
            r"certificate-authority\(-data\) of the cluster at https://a:1 h",
        ),
        ({"certificate-authority-data": "é"}, {}, "certificate-authority-data is not base64"),
        (
            {},
            {"client-certificate-data": "c2VjcmV0"},
            "The client certificate for the cluster at https://a:1 and its key",
        ),
        ({}, {"tokenFile": "/no/token"}, "The token file /no/token cannot be read: No such file or directory"),
        (
            {},
            {"auth-provider": {"name": "oidc", "config": {}}},
            "entries for the cluster at https://a:1 are not underst",
        ),
    ],
)
def test_entries_that_do_not_fit(cluster_entry: dict[str, str], user: dict[str, Any], message: str) -> None:
    """They are told before anything is sent, without what they hold."""
    with pytest.raises(InfrastructureNotAvailable, match=message) as caught:
        acquire_cluster(block({"server": "https://a:1", **cluster_entry}, user))
    assert "secret" not in str(caught.value)


def test_a_proxy(
    server: ApiServer, certificate_folder: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """That of the environment or of the kubeconfig is used, and told when it does not answer; no_proxy is heeded."""
    proxy = f"http://127.0.0.1:{closed_port}"
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    with (
        borrowed_cluster(block({"server": "https://a.invalid:1"}, {})) as cluster,
        pytest.raises(ClusterUnreachable, match="at https://a.invalid:1: Connection refused"),
    ):
        cluster.call("GET", "/x")
    with borrowed_cluster(cluster_config(server, certificate_folder)) as cluster:
        cluster.call("GET", "/x")
    entry = {"server": server.address, **authority(certificate_folder), "proxy-url": proxy}
    monkeypatch.delenv("no_proxy")
    with borrowed_cluster(block(entry, {})) as cluster, pytest.raises(ClusterUnreachable, match="Connection refused"):
        cluster.call("GET", "/x")
    assert len(server.requests) == 1
