"""Tokens and passwords: the whitespace around them is left out, and no error shows one that cannot be sent."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import CoreV1Api
from pydantic import ValidationError

from infrablocks import InfrastructureError, InfrastructureNotAvailable, InvalidSettings, KubernetesJob
from infrablocks.kubernetes import _access
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.kubernetes_client.api_server import Answer, ApiServer, status
from tests.kubernetes_client.kubeconfigs import block, cluster_config, kubeconfig
from tests.kubernetes_client.plugins import Plugin

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-token"
BAD_TOKENS = [f"{SECRET}\n{SECRET}", f"{SECRET}\r\nX-Evil: {SECRET}", f"{SECRET}\0{SECRET}", f"{SECRET}\x7f.",
              f"{SECRET}é.", f"{SECRET}€.", f"\ufeff{SECRET}", f"{SECRET}\u200b.", f"{SECRET}\ud800."]  # fmt: skip
WHAT_IS_WRONG = r"holds, as character \d+ of \d+, a line break, another control character or one that is not ASCII"


def shown(error: BaseException) -> str:
    """Give all that a traceback prints of an error, with those that it came from."""
    chain: list[BaseException] = []
    while error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__ or error
    return "".join(traceback.format_exception(chain[0])) + "".join(map(repr, chain))


def authorizations(server: ApiServer) -> list[str]:
    """Give how the requests so far were authorized."""
    return [request.headers.get("authorization", "") for request in server.requests]


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\r\n", f" \t{SECRET} \n\n", f"{SECRET}\u2028"])
def test_whitespace_around_a_token(plain_server: ApiServer, tmp_path: Path, token: str) -> None:
    """A newline at the end of a token is left out, wherever the token comes from."""
    file = tmp_path / "token"
    file.write_text(token, newline="")
    plugin = Plugin(tmp_path, status={"token": token})
    config = kubeconfig({"server": plain_server.address}, {"token": token})
    for user in ({"token": token}, {"tokenFile": str(file)}, plugin.user):
        with borrowed_cluster(cluster_config(plain_server, user=user)) as cluster:
            cluster.call("GET", "/x")
        with cluster_config(plain_server, user=user).get_api_client() as client:
            CoreV1Api(client).list_namespaced_pod("default")
    with borrowed_cluster(KubernetesClusterConfig(config=json.dumps(config), context_name="here")) as cluster:
        cluster.call("GET", "/x")
    assert authorizations(plain_server) == [f"Bearer {SECRET}"] * 7


def _of_sdk(client: Any) -> str:
    """Give what the SDK would send."""
    (settings,) = client.configuration.auth_settings().values()
    return str(settings["value"])


def test_whitespace_around_the_token_of_a_pod(plain_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of a service account may end with a newline."""
    folder = _access.SERVICE_ACCOUNT_FOLDER
    folder.mkdir()
    (folder / "token").write_text(f"{SECRET}\n")
    (folder / "ca.crt").write_text("")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "9")
    with borrowed_cluster(None) as cluster:
        assert cluster._connected().authorization() == f"Bearer {SECRET}"
    assert plain_server.requests == []


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_a_token_that_cannot_be_sent(token: str) -> None:
    """It is refused when the block is made, with the name of the field and without the value."""
    config = kubeconfig({"server": "http://127.0.0.1:9"}, {"token": token})
    with pytest.raises(ValidationError, match=f"user 'u' of context 'here': token {WHAT_IS_WRONG}") as of_block:
        KubernetesClusterConfig(config=config, context_name="here")
    copy = block({"server": "http://127.0.0.1:9"}, {}).model_copy(update={"config": config})
    with pytest.raises(InvalidSettings, match=f"token {WHAT_IS_WRONG}") as of_copy:
        KubernetesJob(command=["true"], cluster_config=copy).status("etl")
    assert [one for one in (of_block.value, of_copy.value) if SECRET in shown(one)] == []


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"token": 0}, "token is of the type int and not text: put it in quotes"),
        ({"token": 5}, "token is of the type int and not text: put it in quotes"),
        ({"token": [SECRET]}, "token is of the type list and not text"),
        ({"token": " \n"}, "token holds nothing but whitespace"),
        ({"username": "me", "password": 5}, "password is of the type int and not text: put it in quotes"),
        ({"username": 5, "password": SECRET}, "username is of the type int and not text: put it in quotes"),
    ],
)
def test_credentials_of_a_wrong_type(user: dict[str, Any], message: str) -> None:
    """A number that YAML has made of a token or a password is refused, with the name of the field."""
    with pytest.raises(ValidationError, match=message) as caught:
        block({"server": "http://127.0.0.1:9"}, user)
    assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("token", BAD_TOKENS[:-1])
def test_a_token_in_a_kubeconfig_that_cannot_be_sent(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubeconfig with such a token cannot be used; the message names the file, the user and the field."""
    (tmp_path / "config").touch()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    config = kubeconfig({"server": "http://127.0.0.1:9"}, {"token": token})
    monkeypatch.setattr("infrablocks.kubernetes._access.read_kubeconfig", lambda _: config)
    with pytest.raises(InfrastructureNotAvailable, match=f"The kubeconfig .*/config.* token {WHAT_IS_WRONG}") as caught:
        KubernetesJob(command=["true"]).status("etl")
    assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("token", BAD_TOKENS[:-1])
@pytest.mark.parametrize("through", ["the client", "the SDK"])
def test_a_token_file_that_cannot_be_sent(plain_server: ApiServer, tmp_path: Path, token: str, through: str) -> None:
    """Also one that is read again: the message names the file."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    config = cluster_config(plain_server, user={"tokenFile": str(path)})
    path.write_bytes(token.encode())
    with pytest.raises(InfrastructureNotAvailable, match=f"The token file {path} {WHAT_IS_WRONG}") as caught:
        _ask(config, through)
    assert SECRET not in shown(caught.value)
    path.write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(InfrastructureNotAvailable, match=f"The token file {path} {WHAT_IS_WRONG}") as caught:
        _ask(config, through)
    assert SECRET not in shown(caught.value)
    with pytest.raises(InvalidSettings, match=f"user 'u' of context 'here': token {WHAT_IS_WRONG}") as of_file:
        KubernetesClusterConfig.from_file(_written(tmp_path, config.config))
    assert SECRET not in shown(of_file.value)
    path.write_bytes(b"\n")
    with pytest.raises(InfrastructureNotAvailable, match=f"The token file {path} holds nothing but whitespace"):
        _ask(config, through)
    assert plain_server.requests == []


def _written(folder: Path, config: Any) -> Path:
    (folder / "kubeconfig").write_text(str(config))
    return folder / "kubeconfig"


def _ask(config: KubernetesClusterConfig, through: str) -> None:
    if through == "the SDK":
        with KubernetesJob(cluster_config=config).get_client() as core:
            core.list_namespaced_pod("default")
        return
    with borrowed_cluster(config) as cluster:
        cluster.call("GET", "/x")


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_a_plugin_with_a_token_that_cannot_be_sent(plain_server: ApiServer, tmp_path: Path, token: str) -> None:
    """The message names the plugin and not what it has printed."""
    plugin = Plugin(tmp_path, status={"token": token})
    for through in ("the client", "the SDK"):
        with pytest.raises(InfrastructureNotAvailable, match=f"its token {WHAT_IS_WRONG}") as caught:
            _ask(cluster_config(plain_server, user=plugin.user), through)
        assert SECRET not in shown(caught.value)
    assert plain_server.requests == []


@pytest.mark.parametrize(
    "printed", [{"token": [SECRET]}, {"token": 5, "x": SECRET}, {"clientCertificateData": [SECRET]}]
)
def test_a_plugin_with_a_credential_of_a_wrong_type(
    plain_server: ApiServer, tmp_path: Path, printed: dict[str, Any]
) -> None:
    """What is no text is no ExecCredential."""
    plugin = Plugin(tmp_path, status=printed)
    with pytest.raises(InfrastructureNotAvailable, match="did not print an ExecCredential") as caught:
        _ask(cluster_config(plain_server, user=plugin.user), "the client")
    assert SECRET not in shown(caught.value)


def test_a_password_of_any_characters(plain_server: ApiServer) -> None:
    """A name and a password are sent in UTF-8, as kubectl does."""
    config = cluster_config(plain_server, user={"username": "jürgen", "password": "päß\n€"})
    _ask(config, "the client")
    assert authorizations(plain_server) == ["Basic asO8cmdlbjpww6TDnwrigqw="]
    with config.get_api_client() as client:
        assert _of_sdk(client) == "Basic asO8cmdlbjpww6TDnwrigqw="


def test_an_auth_provider(plain_server: ApiServer) -> None:
    """A token that the SDK takes out of an `auth-provider` is checked as well."""

    def config(token: str) -> KubernetesClusterConfig:
        user = {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}
        return cluster_config(plain_server, user=user)

    for through in ("the client", "the SDK"):
        with pytest.raises(InfrastructureNotAvailable, match=f"The token for the cluster .* {WHAT_IS_WRONG}") as caught:
            _ask(config(f"e30.e30.{SECRET}\nx"), through)
        assert SECRET not in shown(caught.value)
    user = {"auth-provider": {"name": "gcp", "config": {"access-token": "x", "expiry": SECRET}}}
    with pytest.raises(InfrastructureNotAvailable, match="are not understood") as caught:
        _ask(cluster_config(plain_server, user=user), "the client")
    assert SECRET not in shown(caught.value)
    assert plain_server.requests == []
    _ask(config(f"e30.e30.{SECRET}\n"), "the client")
    assert authorizations(plain_server) == [f"Bearer e30.e30.{SECRET}"]


@pytest.mark.parametrize(
    ("credential", "sent"),
    [({"token": SECRET}, SECRET), ({"username": "me", "password": "pässword"}, "bWU6cMOkc3N3b3Jk")],
)
@pytest.mark.parametrize("code", [400, 401, 403, 404, 500])
def test_a_server_that_repeats_what_it_was_sent(
    plain_server: ApiServer, credential: dict[str, str], sent: str, code: int
) -> None:
    """A proxy or a webhook whose answer holds the header is quoted without it."""
    plain_server.answer("GET", status(code, "Bad", f"cannot take header Bearer {sent} of yours"), times=99)
    plain_server.answer("POST", Answer(code, f"<html>Basic {sent}</html>".encode()), times=99)
    with borrowed_cluster(cluster_config(plain_server, user=credential)) as cluster:
        for method in ("GET", "POST"):
            with pytest.raises(InfrastructureError) as caught:
                cluster.call(method, "/x", repeat=False)
            assert sent not in shown(caught.value) + str(vars(caught.value))


@pytest.mark.parametrize(
    "cluster",
    [
        {"server": "http://a:1", "proxy-url": f"http://me:{SECRET}@proxy:port"},
        {"server": "http://a:1", "proxy-url": f"ftp://me:{SECRET}@proxy:1"},
        {"server": "http://a:1", "proxy-url": f"socks5://me:{SECRET}@proxy:port"},
        {"server": f"http://me:{SECRET}@127.0.0.1:9"},
    ],
)
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.DependencyWarning")  # urllib3 does without PySocks
def test_a_password_in_an_address(cluster: dict[str, str]) -> None:
    """Neither that of a proxy nor that of a server is shown where its address is malformed, or nobody is there."""
    for through in ("the client", "the SDK")[: 1 if "proxy-url" not in cluster else 2]:
        with pytest.raises(InfrastructureNotAvailable) as caught:
            _ask(block(cluster, {}), through)
        assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("begin", ["https://", "HTTP://", "//", ""])
def test_an_address_is_shown_without_its_password(begin: str) -> None:
    """Also one without a scheme, which kubectl takes as well."""
    access = _access.cluster_access(block({"server": f"{begin}me:{SECRET}@a.example:1/p@th/"}, {}))
    assert access.address == f"{begin}a.example:1/p@th"


@pytest.mark.parametrize(
    "server",
    [
        f"http://me:{SECRET}@127.0.0.1:port",
        f"http://me:{SECRET}/x@127.0.0.1:9",
        f"https://me:{SECRET}#x@127.0.0.1:9",
        f"http://me:{SECRET}@[::1:9",
        f"http://me:{SECRET}@",
        f"ftp://me:{SECRET}@127.0.0.1:9",
        [SECRET],
        7,
    ],
)
def test_a_server_without_an_address(server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused at once, with the name of the field and without the value, which may hold a password."""
    message = "server of cluster 'c' is not an address such as https://HOST:6443"
    config = kubeconfig({"server": server}, {})
    with pytest.raises(ValidationError, match=message) as of_block:
        KubernetesClusterConfig(config=config, context_name="here")
    path = _written(tmp_path, config)
    with pytest.raises(InvalidSettings, match=message) as of_file:
        KubernetesClusterConfig.from_file(path)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(InfrastructureNotAvailable, match=f"cannot be used: {message}") as of_environment:
        KubernetesJob(command=["true"]).status("etl")
    assert [one for one in (of_block, of_file, of_environment) if SECRET in shown(one.value)] == []


NO_YAML = ["*{}", "!{}", "!!{} x", "&a &{} x", "'{}", '"\\q{}', "|{}", "%{}", "@{}", "{{{}", "!!int {}", "!!float {}",
           "!!bool {}", "!!timestamp {}", "!!binary é{}", "!<{}> x", "!!int '' # {}"]  # fmt: skip


@pytest.mark.parametrize("token", [form.format(SECRET) for form in NO_YAML])
def test_a_token_that_is_no_yaml(token: str, tmp_path: Path) -> None:
    """A token that YAML takes for an alias, a tag or the like is not shown in the message, nor a value of a tag."""
    text = f"users:\n- name: u\n  user: {{token: {token}}}\nclusters: []\ncontexts: []\n"
    for config in (text, text.replace("{token: ", "\n    token: ").replace("}\nclusters", "\nclusters")):
        with pytest.raises(ValidationError) as caught:
            KubernetesClusterConfig(config=config, context_name="here")
        with pytest.raises(InfrastructureNotAvailable, match="is not valid: it is not YAML") as of_file:
            KubernetesClusterConfig.from_file(_written(tmp_path, config))
        assert SECRET not in shown(caught.value) + shown(of_file.value)
