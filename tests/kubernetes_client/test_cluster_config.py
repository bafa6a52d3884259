"""The block `KubernetesClusterConfig`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import kubernetes.client
import pytest
import yaml
from pydantic import ValidationError

from infrablocks.exceptions import InfrastructureNotAvailable, InvalidBlockFile, InvalidSettings
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.kubernetes_client.api_server import Answer, status
from tests.kubernetes_client.kubeconfigs import authority, cluster_config, encoded, kubeconfig
from tests.kubernetes_client.plugins import Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kubernetes_client.api_server import ApiServer

CONFIG = kubeconfig({"server": "https://a:1"}, {"token": "s3cret"})


def test_text_is_read_as_a_mapping() -> None:
    """YAML text and a mapping make the same block, whose `config` is a mapping."""
    block = KubernetesClusterConfig(config=yaml.safe_dump(CONFIG), context_name="here")
    assert block == KubernetesClusterConfig(config=CONFIG, context_name="here")
    assert block.config == CONFIG


def test_nothing_that_is_shown_holds_the_configuration(tmp_path: Path) -> None:
    """It is masked in repr, JSON and YAML, and the mask is not taken for a configuration."""
    block = KubernetesClusterConfig(config=CONFIG, context_name="here")
    block.to_yaml(tmp_path / "block.yaml")
    saved = (tmp_path / "block.yaml").read_text()
    assert repr(block) == "KubernetesClusterConfig(config='********', context_name='here')"
    assert json.loads(block.model_dump_json()) == {"config": "********", "context_name": "here"}
    assert yaml.safe_load(saved)["config"] == "********"
    with pytest.raises(InvalidBlockFile):
        KubernetesClusterConfig.from_yaml(tmp_path / "block.yaml")


@pytest.mark.parametrize(
    ("config", "context_name", "message"),
    [
        (CONFIG, "prod", "Context 'prod' not found. Specify one of: here."),
        ("users: ['s3cret", "here", "it is not YAML in line 1"),
        ("- s3cret", "here", "a kubeconfig is a mapping with clusters, contexts and users."),
        ({**CONFIG, "users": {"token": "s3cret"}}, "here", "users is not a list."),
    ],
)
def test_a_configuration_that_does_not_fit(config: object, context_name: str, message: str) -> None:
    """It is refused when the block is made; the error shows nothing of it."""
    with pytest.raises(ValidationError, match=message) as caught:
        KubernetesClusterConfig.model_validate({"config": config, "context_name": context_name})
    assert "s3cret" not in str(caught.value)


def test_a_block_made_of_a_file_needs_no_other_file(certificate_folder: Path, tmp_path: Path) -> None:
    """Certificates, keys and tokens that the kubeconfig names are taken into the block."""
    (tmp_path / "ca.pem").write_bytes((certificate_folder / "ca.pem").read_bytes())
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "key.pem").write_text("a key")
    config = kubeconfig(
        {"server": "https://a:1", "certificate-authority": "ca.pem"},
        {"client-certificate": "ca.pem", "client-key": "key.pem", "tokenFile": "token"},
    )
    config["users"] += [{"name": "other", "user": {"client-key": "missing"}}]
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    block = KubernetesClusterConfig.from_file(tmp_path / "config")
    data = encoded(certificate_folder / "ca.pem")
    assert block.context_name == "here"
    assert block.config["clusters"][0]["cluster"] == {"server": "https://a:1", "certificate-authority-data": data}
    assert block.config["users"] == [
        {
            "name": "u",
            "user": {"client-certificate-data": data, "client-key-data": "YSBrZXk=", "token": "t0ken"},
        },
        {"name": "other", "user": {"client-key": str(tmp_path / "missing")}},
    ]


def test_the_file_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the files of KUBECONFIG are read."""
    (tmp_path / "config").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    block = KubernetesClusterConfig.from_file(context_name="here")
    assert block.config["users"] == CONFIG["users"]


def test_a_context_that_is_not_in_the_file(tmp_path: Path) -> None:
    """The error lists those that are."""
    config = {**CONFIG, "contexts": [*CONFIG["contexts"], {"name": "dev", "context": {}}]}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(InvalidSettings, match="^Context 'prod' not found. Specify one of: dev, here.$"):
        KubernetesClusterConfig.from_file(tmp_path / "config", "prod")


def test_files_that_are_missing(tmp_path: Path) -> None:
    """A kubeconfig that is not there, and one that names a file which is not, are told by their paths."""
    with pytest.raises(
        InfrastructureNotAvailable, match=f"^There is no kubeconfig: {tmp_path}/config does not exist.$"
    ):
        KubernetesClusterConfig.from_file(tmp_path / "config")
    config = kubeconfig({"server": "https://a:1", "certificate-authority": "gone.crt"}, {})
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(InvalidSettings, match=f"{tmp_path}/gone.crt, which clusters/c names, cannot be read: No such"):
        KubernetesClusterConfig.from_file(tmp_path / "config")


@pytest.fixture
def sdk_default() -> Iterator[None]:
    """Put the SDK's own configuration back."""
    default = kubernetes.client.Configuration._default
    yield
    kubernetes.client.Configuration._default = default


@pytest.mark.usefixtures("sdk_default")
def test_clients_of_the_sdk(server: ApiServer, certificate_folder: Path) -> None:
    """`get_api_client` makes a client of this cluster; only `configure_client` changes what others use."""
    version = {"major": "1", "minor": "37", "gitVersion": "v1.37.2", "buildDate": "", "compiler": "", "gitCommit": ""}
    version |= {"gitTreeState": "", "goVersion": "", "platform": ""}
    server.answer("GET /version", Answer(200, version), times=2)
    block = cluster_config(server, certificate_folder)
    before = kubernetes.client.Configuration.get_default_copy().host
    with block.get_api_client() as client:
        assert kubernetes.client.VersionApi(client).get_code().git_version == "v1.37.2"
    assert kubernetes.client.Configuration.get_default_copy().host == before != server.address
    block.configure_client()
    with kubernetes.client.ApiClient() as client:
        assert kubernetes.client.VersionApi(client).get_code().git_version == "v1.37.2"
    authorizations = {request.headers.get("authorization") for request in server.requests}
    assert authorizations == {"Bearer t0ken"}


# The SDK calls a method that urllib3 2.2 to 2.5 call deprecated.
@pytest.mark.filterwarnings("ignore:HTTPResponse.getheaders:DeprecationWarning")
def test_a_client_of_the_sdk_gets_new_tokens(plain_server: ApiServer, tmp_path: Path) -> None:
    """A token file is read again, and a plugin is run again when its token ends."""
    (tmp_path / "token").write_text("one")
    users = [{"tokenFile": str(tmp_path / "token")}, Plugin(tmp_path, seconds=-1).user]
    for user in users:
        with cluster_config(plain_server, user=user).get_api_client() as client:
            (tmp_path / "token").write_text("two")
            for _ in range(2):
                plain_server.answer("GET", status(404, "NotFound", "no"))
                with pytest.raises(kubernetes.client.ApiException):
                    kubernetes.client.VersionApi(client).get_code()
    tokens = [request.headers["authorization"] for request in plain_server.requests]
    assert tokens[:2] == ["Bearer two"] * 2
    assert len(set(tokens[2:])) == 2


def test_a_client_of_the_sdk_with_a_certificate(server: ApiServer, certificate_folder: Path) -> None:
    """Certificates that the configuration holds are used by it too."""
    client_folder = certificate_folder / "client"
    user = {
        "client-certificate-data": encoded(client_folder / "cert.pem"),
        "client-key-data": encoded(client_folder / "key.pem"),
    }
    config = kubeconfig({"server": server.address, **authority(certificate_folder)}, user)
    with KubernetesClusterConfig(config=config, context_name="here").get_api_client() as client:
        assert client.rest_client.pool_manager.request("GET", f"{server.address}/x", retries=False).status == 200
    assert [request.certificate for request in server.requests] == ["infrablocks client"]
