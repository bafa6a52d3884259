"""A user who acts as another one does so with every request, as with kubectl."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from kubernetes.client import CoreV1Api
from kubernetes.stream import portforward, stream
from pydantic import ValidationError

from infrablocks import InfrastructureNotAvailable, InvalidSettings, KubernetesJob, UnsupportedOperation
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._user import impersonation_headers
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.kubernetes_client.api_server import JOBS, PODS, Answer, ApiServer, Request, status
from tests.kubernetes_client.kubeconfigs import block, cluster_config, kubeconfig
from tests.kubernetes_client.plugins import Plugin
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

AS = {
    "as": "jürgen@example.org",
    "as-uid": "42",
    "as-groups": ["dev", "ops, but not all"],
    "as-user-extra": {"Scopes": ["view", "edit"], "acme.com/pro%ject": ["ü"]},
}
SENT = [
    ("Impersonate-User", "jürgen@example.org"),
    ("Impersonate-Uid", "42"),
    ("Impersonate-Group", "dev"),
    ("Impersonate-Group", "ops, but not all"),
    ("Impersonate-Extra-scopes", "view"),
    ("Impersonate-Extra-scopes", "edit"),
    ("Impersonate-Extra-acme.com%2Fpro%25ject", "ü"),
]


def impersonation(request: Request) -> list[tuple[str, str]]:
    """Give the headers by which a request was made as somebody else, one for each line, in UTF-8."""
    lines = [one for one in request.header_lines if one[0].lower().startswith("impersonate-")]
    return [(name, value.encode("latin-1").decode()) for name, value in lines]


def check_all(server: ApiServer, count: int) -> None:
    """Check that so many requests have come in, each with all headers, and with the token of the user themselves."""
    assert len(server.requests) == count, server.lines()
    assert [impersonation(request) for request in server.requests] == [SENT] * count
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer t0ken"}


def test_calls_and_streams(plain_server: ApiServer) -> None:
    """Reads, writes, watches and logs carry the headers, each value in a line of its own; so does what is repeated."""
    with borrowed_cluster(cluster_config(plain_server, user={"token": "t0ken", **AS})) as cluster:
        plain_server.answer("GET /x", status(503, "ServiceUnavailable", "later"))
        cluster.call("GET", "/x")
        plain_server.answer("POST /x", status(401, "Unauthorized", "no"))
        cluster.call("POST", "/x", body={})
        cluster.call("DELETE", "/x", body={})
        cluster.open_stream(f"{PODS}/p/log", {"follow": "true"}, read_seconds=WAIT_SECONDS).close()
        watch = cluster.job_watch("default")
        subscription = watch.subscribe("a")
        watch.wait_until_listed(WAIT_SECONDS)
        subscription.close()
    assert {f"GET {JOBS}", f"WATCH {JOBS}", f"GET {PODS}", f"WATCH {PODS}"} <= set(plain_server.lines())
    check_all(plain_server, 10)


def test_the_sdk(plain_server: ApiServer) -> None:
    """The SDK's own clients carry them too; where the SDK cannot, that is an error that says what can."""
    config = cluster_config(plain_server, user={"token": "t0ken", **AS})
    job = KubernetesJob(cluster_config=config)
    with job.get_client() as core, job.get_batch_client() as batch, config.get_api_client() as client:
        core.list_namespaced_pod("default")
        batch.list_namespaced_job("default")
        CoreV1Api(client).list_namespaced_pod("default")
    check_all(plain_server, 3)
    with pytest.raises(UnsupportedOperation, match=r"context 'here' impersonates another one .* Use `get_api_client`"):
        config.configure_client()


def test_websockets_of_the_sdk(plain_server: ApiServer) -> None:
    """A WebSocket of the SDK carries none of these headers, so that it is refused; other calls go on."""
    config = cluster_config(plain_server, user={"token": "t0ken", **AS})
    with KubernetesJob(cluster_config=config).get_client() as core:
        with pytest.raises(UnsupportedOperation, match="WebSockets of the Kubernetes SDK cannot impersonate"):
            stream(core.connect_get_namespaced_pod_exec, "p", "default", command=["true"])
        with pytest.raises(UnsupportedOperation, match="WebSockets of the Kubernetes SDK cannot impersonate"):
            portforward(core.connect_get_namespaced_pod_portforward, "p", "default", ports="80")
        core.list_namespaced_pod("default")
    check_all(plain_server, 1)


def test_the_dry_run(plain_server: ApiServer) -> None:
    """A preview by the server is made as the other user."""
    config = cluster_config(plain_server, user={"token": "t0ken", **AS})
    plain_server.answer(f"POST {JOBS}", Answer(201, {"metadata": {"name": "made"}}))
    assert "made" in KubernetesJob(command=["true"], cluster_config=config).preview(server=True)
    check_all(plain_server, 1)


@pytest.mark.anyio
async def test_a_run_asks_for_the_rights_of_the_other_user(plain_server: ApiServer) -> None:
    """Everything that a run asks before it makes a Job carries the headers; a refusal names the other user."""
    config = cluster_config(plain_server, user={"token": "t0ken", **AS})
    refused = status(403, "Forbidden", 'User "jürgen@example.org" cannot create resource "jobs"')
    review = Answer(201, {"status": {"incomplete": True, "resourceRules": []}})
    await anyio.to_thread.run_sync(plain_server.answer, "selfsubjectrulesreviews", review)
    await anyio.to_thread.run_sync(plain_server.answer, f"POST {JOBS}", refused)
    with pytest.raises(InfrastructureNotAvailable, match=r'User "jürgen@example.org" cannot create'):
        await KubernetesJob(command=["true"], cluster_config=config).run()
    assert len(plain_server.lines("POST")) == 2
    check_all(plain_server, len(plain_server.requests))


def test_a_plugin(plain_server: ApiServer, tmp_path: Path) -> None:
    """A user whose token comes from a plugin acts as another one as well."""
    user = {**Plugin(tmp_path, seconds=3600).user, **AS}
    with borrowed_cluster(cluster_config(plain_server, user=user)) as cluster:
        cluster.call("GET", "/x")
    assert impersonation(plain_server.requests[0]) == SENT
    assert plain_server.requests[0].headers["authorization"] == "Bearer token-1"


def test_a_certificate(server: ApiServer, certificate_folder: Path) -> None:
    """A user with a certificate acts as another one as well."""
    files = {"client-certificate": "cert.pem", "client-key": "key.pem"}
    user = {name: str(certificate_folder / "client" / file) for name, file in files.items()}
    with borrowed_cluster(cluster_config(server, certificate_folder, {**user, **AS})) as cluster:
        cluster.call("GET", "/x")
    assert (impersonation(server.requests[0]), server.requests[0].certificate) == (SENT, "infrablocks client")


def test_a_proxy(plain_server: ApiServer) -> None:
    """Behind a proxy that sees the request, the lines stay apart."""
    config = block({"server": "http://cluster.test", "proxy-url": plain_server.address}, {"token": "t0ken", **AS})
    with borrowed_cluster(config) as cluster:
        cluster.call("GET", "/x")
    check_all(plain_server, 1)


def test_a_kubeconfig(plain_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Impersonation in a kubeconfig counts, and also after a 401, when the file is read again."""
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    path.write_text(str(kubeconfig({"server": plain_server.address}, {"token": "t0ken", "as": "one"})))
    with borrowed_cluster(None) as cluster:
        path.write_text(str(kubeconfig({"server": plain_server.address}, {"token": "t0ken", "as": "two"})))
        plain_server.answer("GET", status(401, "Unauthorized", "no"))
        cluster.call("GET", "/x")
    assert [impersonation(one) for one in plain_server.requests] == [
        [("Impersonate-User", "one")],
        [("Impersonate-User", "two")],
    ]


def test_users_share_no_client(plain_server: ApiServer) -> None:
    """Two blocks that differ in whom they act as are two clients, and one without impersonation sends no header."""
    for user in ({"token": "t0ken", "as": "one"}, {"token": "t0ken", "as": "two"}, {"token": "t0ken"}):
        with borrowed_cluster(cluster_config(plain_server, user=user)) as cluster:
            cluster.call("GET", "/x")
    assert [impersonation(one) for one in plain_server.requests] == [
        [("Impersonate-User", "one")],
        [("Impersonate-User", "two")],
        [],
    ]


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"as": ""},
        {"as": None, "as-uid": "", "as-groups": [], "as-user-extra": {}},
        {"as-uid": None, "as-groups": None, "as-user-extra": None},
    ],
)
def test_nobody_is_impersonated(user: dict[str, Any]) -> None:
    """What is empty is left out, as kubectl writes it."""
    assert impersonation_headers(user) == ()


def test_extra_without_values() -> None:
    """A name without values is no header."""
    assert impersonation_headers({"as": "a", "as-groups": None, "as-user-extra": {"scopes": []}}) == (
        ("Impersonate-User", "a"),
    )


SECRET = "s3cret"
MALFORMED = [
    ({"as-uid": SECRET}, "as-uid is given without `as`"),
    ({"as-groups": [SECRET]}, "as-groups is given without `as`"),
    ({"as-user-extra": {"a": [SECRET]}}, "as-user-extra is given without `as`"),
    ({"as": "", "as-groups": [SECRET]}, "as-groups is given without `as`"),
    ({"as-groups": ""}, "as-groups is given without `as`"),
    ({"as": 0}, "as is of the type int and not text"),
    ({"as": False}, "as is of the type bool and not text"),
    ({"as": []}, "as is of the type list and not text"),
    ({"as": 7}, "as is of the type int and not text"),
    ({"as": [SECRET]}, "as is of the type list and not text"),
    ({"as": " "}, "as holds nothing but whitespace"),
    ({"as": f"{SECRET}\n"}, "as holds a line break or another control character"),
    ({"as": f"a\r\nAuthorization: {SECRET}"}, "as holds a line break or another control character"),
    ({"as": f"{SECRET}\0"}, "as holds a line break or another control character"),
    ({"as": f"{SECRET}\ud800"}, "as holds half of a surrogate pair"),
    ({"as": "a", "as-uid": 0}, "as-uid is of the type int and not text"),
    ({"as": "a", "as-uid": 42}, "as-uid is of the type int and not text"),
    ({"as": "a", "as-groups": SECRET}, "as-groups is not a list of texts"),
    ({"as": "a", "as-groups": {SECRET: 1}}, "as-groups is not a list of texts"),
    ({"as": "a", "as-groups": ["ok", ""]}, r"as-groups\[1\] holds nothing but whitespace"),
    ({"as": "a", "as-groups": ["ok", None]}, r"as-groups\[1\] is of the type NoneType and not text"),
    ({"as": "a", "as-groups": [f"{SECRET}\n"]}, r"as-groups\[0\] holds a line break"),
    ({"as": "a", "as-user-extra": []}, "as-user-extra is not a mapping"),
    ({"as": "a", "as-user-extra": [SECRET]}, "as-user-extra is not a mapping"),
    ({"as": "a", "as-user-extra": {"scopes": SECRET}}, "as-user-extra.scopes is not a list of texts"),
    ({"as": "a", "as-user-extra": {"scopes": [7]}}, r"as-user-extra.scopes\[0\] is of the type int and not text"),
    ({"as": "a", "as-user-extra": {"": [SECRET]}}, "a name in as-user-extra is empty"),
    ({"as": "a", "as-user-extra": {7: [SECRET]}}, "a name in as-user-extra is of the type int and not text"),
    ({"as": "a", "as-user-extra": {"a\ud800": [SECRET]}}, "a name in as-user-extra holds half of a surrogate pair"),
]


@pytest.mark.parametrize(("user", "message"), MALFORMED)
def test_malformed(user: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sent is refused when the block is made, and when a kubeconfig is read: with the field's name."""
    config = kubeconfig({"server": "http://127.0.0.1:9"}, user)
    with pytest.raises(ValidationError, match=f"user 'u' of context 'here': {message}") as of_block:
        KubernetesClusterConfig(config=config, context_name="here")
    good = block({"server": "http://127.0.0.1:9"}, {})
    with (
        pytest.raises(InvalidSettings, match=f"cluster_config: user 'u' of context 'here': {message}") as of_copy,
        borrowed_cluster(good.model_copy(update={"config": config})),
    ):
        pass
    shown: list[Exception] = [of_block.value, of_copy.value]
    path = tmp_path / "config"
    path.touch()
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("infrablocks.kubernetes._access.read_kubeconfig", lambda _: config)  # no file holds all of them
    with pytest.raises(InfrastructureNotAvailable, match=f"cannot be used: user 'u' of .*{message}") as of_file:
        KubernetesJob().preview(server=True)
    shown.append(of_file.value)
    assert [one for one in shown if SECRET in "".join(traceback.format_exception(one))] == []
