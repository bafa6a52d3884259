"""Who a client says it is, and how it stays so."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from infrablocks._threads import run_in_worker_thread
from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes import _access
from infrablocks.kubernetes._clusters import acquire_cluster, borrowed_cluster, release_cluster
from infrablocks.kubernetes._errors import AccessRefused
from infrablocks.testing._stalls import worst_stall
from tests.kubernetes_client.api_server import ApiServer, status
from tests.kubernetes_client.kubeconfigs import cluster_config, kubeconfig
from tests.kubernetes_client.plugins import Plugin

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

UNAUTHORIZED = status(401, "Unauthorized", "Unauthorized")


def test_a_token_file_is_read_again(plain_server: ApiServer, tmp_path: Path) -> None:
    """A token that is replaced in its file is used by the next request."""
    path = tmp_path / "token"
    path.write_text("one\n")
    with borrowed_cluster(cluster_config(plain_server, user={"tokenFile": str(path)})) as cluster:
        cluster.call("GET", "/x")
        path.write_text("two\n")
        cluster.call("GET", "/x")
        path.unlink()
        with pytest.raises(InfrastructureNotAvailable, match=f"The token file {path} cannot be read: No such file"):
            cluster.call("GET", "/x")
    assert [request.headers["authorization"] for request in plain_server.requests] == ["Bearer one", "Bearer two"]


def test_inside_of_a_pod(server: ApiServer, certificate_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod's token, authority and namespace are used."""
    folder = _access.SERVICE_ACCOUNT_FOLDER
    folder.mkdir()
    (folder / "token").write_text("of-the-pod")
    (folder / "ca.crt").write_bytes((certificate_folder / "ca.pem").read_bytes())
    (folder / "namespace").write_text("prod")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.address.rpartition(":")[2])
    with borrowed_cluster(None) as cluster:
        cluster.call("GET", "/x")
        assert cluster.default_namespace == "prod"
    assert server.requests[0].headers["authorization"] == "Bearer of-the-pod"


def test_a_plugin_is_run_once_until_its_credential_ends(plain_server: ApiServer, tmp_path: Path) -> None:
    """Runs one after the other, and calls at the same time, share one run of the plugin."""
    plugin = Plugin(tmp_path, seconds=3600)
    config = cluster_config(plain_server, user=plugin.user)

    def use(_: int) -> None:
        with borrowed_cluster(config) as cluster:
            cluster.call("GET", "/x")

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(use, range(20)))
    use(0)
    assert {request.headers["authorization"] for request in plain_server.requests} == {"Bearer token-1"}
    assert plugin.runs == [
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": {"interactive": False, "cluster": {"server": plain_server.address}},
        }
    ]


@pytest.mark.parametrize("given", [None, "given"])
def test_a_plugin_does_not_get_the_key_of_the_store(
    plain_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """It inherits the environment without the key to saved blocks, and gets the variables of the kubeconfig."""
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", "key-3c1d")
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY_FILE", "/the/key")
    monkeypatch.setenv("BESIDE", "beside")
    seen = tmp_path / "seen"
    plugin = Plugin(tmp_path, before=f"open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))")
    user = plugin.user
    if given is not None:
        user["exec"]["env"].append({"name": "INFRABLOCKS_SECRET_KEY", "value": given})
    with borrowed_cluster(cluster_config(plain_server, user=user)) as cluster:
        cluster.call("GET", "/x")
    variables = json.loads(seen.read_text())
    assert variables.get("INFRABLOCKS_SECRET_KEY") == given
    assert "INFRABLOCKS_SECRET_KEY_FILE" not in variables
    assert (variables["BESIDE"], variables["OF_THE_PLUGIN"]) == ("beside", "x")


def test_a_plugin_is_run_again_before_its_credential_ends(plain_server: ApiServer, tmp_path: Path) -> None:
    """A credential that has ended, or is about to, is not used."""
    plugin = Plugin(tmp_path, seconds=-1)
    with borrowed_cluster(cluster_config(plain_server, user=plugin.user)) as cluster:
        cluster.call("GET", "/x")
        cluster.call("GET", "/x")
    tokens = [request.headers["authorization"] for request in plain_server.requests]
    assert len(set(tokens)) == 2


def test_a_plugin_that_gives_a_certificate(server: ApiServer, certificate_folder: Path, tmp_path: Path) -> None:
    """The certificate is shown to the server."""
    client = certificate_folder / "client"
    status = {
        "clientCertificateData": (client / "cert.pem").read_text(),
        "clientKeyData": (client / "key.pem").read_text(),
    }
    plugin = Plugin(tmp_path, status=status)
    with borrowed_cluster(cluster_config(server, certificate_folder, plugin.user)) as cluster:
        cluster.call("GET", "/x")
    assert server.requests[0].certificate == "infrablocks client"


@pytest.mark.parametrize(
    ("change", "before", "message"),
    [
        (
            {"command": "no-such-plugin"},
            "",
            "'no-such-plugin' of the kubeconfig cannot be started: No such file or dir",
        ),
        (
            {"command": "no-such-plugin", "installHint": "apt install it"},
            "",
            "No such file or directory. apt install it",
        ),
        ({}, "sys.exit('no\\n session')", r"failed with exit code 1: no session"),
        (
            {},
            "print('s3cret'); sys.exit(0)",
            "did not print an ExecCredential with a status that holds a token or a cert",
        ),
        ({}, "print('{}'); sys.exit(0)", "did not print an ExecCredential"),
        ({"interactiveMode": "Always"}, "", r"needs a terminal \(interactiveMode: Always\), which runs do not have"),
        ({"apiVersion": None}, "", "has no command or no apiVersion"),
    ],
)
def test_a_plugin_that_fails(
    change: dict[str, Any],
    before: str,
    message: str,
    plain_server: ApiServer,
    tmp_path: Path,
) -> None:
    """The error says which plugin, and what to do; not what it printed."""
    user = Plugin(tmp_path, before=before).user
    user["exec"].update(change)
    with pytest.raises(InfrastructureNotAvailable, match=message) as caught:
        acquire_cluster(cluster_config(plain_server, user=user))
    assert "s3cret" not in str(caught.value)
    assert plain_server.requests == []


def test_a_plugin_that_hangs(plain_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, with an error that says what to do."""
    monkeypatch.setattr("infrablocks.kubernetes._exec_plugin.PLUGIN_SECONDS", 0.5)
    message = "printed no credential within 0.5 seconds. Run it by hand to see what it wants."
    with pytest.raises(InfrastructureNotAvailable, match=message):
        acquire_cluster(cluster_config(plain_server, user=Plugin(tmp_path, before="time.sleep(300)").user))
    assert plain_server.requests == []


@pytest.mark.alone("measures how long the event loop stalls")
@pytest.mark.anyio
async def test_a_slow_plugin_does_not_hold_up_the_event_loop(plain_server: ApiServer, tmp_path: Path) -> None:
    """While it runs, and while the SDK is used, the loop goes on."""
    plugin = Plugin(tmp_path, before="time.sleep(0.5)")

    async def use(config: KubernetesClusterConfig) -> None:
        cluster = await run_in_worker_thread(lambda: acquire_cluster(config))
        await run_in_worker_thread(lambda: cluster.call("GET", "/x"))
        await run_in_worker_thread(lambda: release_cluster(cluster))

    await use(cluster_config(plain_server))  # loads the SDK, if no test before has done so
    config = cluster_config(plain_server, user=plugin.user)
    assert await worst_stall(lambda: use(config)) < 0.1


def test_credentials_that_are_refused_are_renewed_once(plain_server: ApiServer, tmp_path: Path) -> None:
    """After a 401 the plugin is run again and the request repeated, also one that writes: it was not executed."""
    plugin = Plugin(tmp_path, seconds=3600)
    with borrowed_cluster(cluster_config(plain_server, user=plugin.user)) as cluster:
        plain_server.answer("POST", UNAUTHORIZED)
        assert cluster.call("POST", "/x", body={})["kind"] == "Echo"
    authorizations = [request.headers["authorization"] for request in plain_server.requests]
    assert authorizations == ["Bearer token-1", "Bearer token-2"]


def test_a_kubeconfig_that_has_changed_is_read_again(
    plain_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a 401 a client that is in use takes the token that was put into the kubeconfig in the meantime."""
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    path.write_text(str(kubeconfig({"server": plain_server.address}, {"token": "old"})))
    with borrowed_cluster(None) as cluster:
        path.write_text(str(kubeconfig({"server": plain_server.address}, {"token": "new"})))
        plain_server.answer("GET", UNAUTHORIZED)
        cluster.call("GET", "/x")
    assert [one.headers["authorization"] for one in plain_server.requests] == ["Bearer old", "Bearer new"]


def test_credentials_that_stay_refused(plain_server: ApiServer, cluster: Cluster) -> None:
    """A second 401 is the end, and the error says what to do."""
    plain_server.answer("GET", UNAUTHORIZED, times=9)
    with pytest.raises(AccessRefused) as caught:
        cluster.call("GET", "/x")
    assert isinstance(caught.value, InfrastructureNotAvailable)
    assert str(caught.value) == (
        f"The Kubernetes cluster at {plain_server.address} does not accept the credentials (401 Unauthorized): the "
        "token or certificate is wrong or has expired. Log in again, or put valid ones into the kubeconfig or the "
        "cluster_config."
    )
    assert len(plain_server.requests) == 2


def test_only_the_authority_of_the_kubeconfig_is_trusted(server: ApiServer, certificate_folder: Path) -> None:
    """No version of the SDK adds public authorities to it, which would also cost time on every connection."""
    with borrowed_cluster(cluster_config(server, certificate_folder)) as cluster:
        cluster.call("GET", "/x")
        context = cluster._connected().pool.connection_pool_kw["ssl_context"]
        assert [dict(found[0] for found in each["subject"]) for each in context.get_ca_certs()] == [
            {"commonName": "infrablocks authority"}
        ]
