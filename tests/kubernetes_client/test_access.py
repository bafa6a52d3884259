"""Which cluster is meant, and as whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from infrablocks.exceptions import InfrastructureNotAvailable, InvalidSettings
from infrablocks.kubernetes import _access
from infrablocks.kubernetes._access import ClusterAccess, cluster_access
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.kubernetes_client.kubeconfigs import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, config: Any) -> Path:
    """Write a kubeconfig."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return path


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the process be in a pod; the folder with its token."""
    folder = _access.SERVICE_ACCOUNT_FOLDER
    folder.mkdir()
    (folder / "token").write_text("pod-token")
    (folder / "ca.crt").write_text("")
    (folder / "namespace").write_text("prod\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return folder


def test_a_block_comes_before_pod_and_kubeconfig(pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster of the block is used, with the namespace of its context, wherever the process runs."""
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "config", kubeconfig({"server": "https://other:1"}, {}))))
    config = kubeconfig({"server": "https://10.0.0.1:6443/"}, {"token": "t0ken"}, namespace="dev")
    block = KubernetesClusterConfig(config=config, context_name="here")
    access = cluster_access(block)
    assert access == ClusterAccess({"server": "https://10.0.0.1:6443/"}, {"token": "t0ken"}, "dev", "here")
    assert access.address == "https://10.0.0.1:6443"
    assert "t0ken" not in repr(access)
    assert pod.exists()


def test_a_pod_comes_before_the_kubeconfig(pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod with a service account, its cluster, certificates, token file and namespace are used."""
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "config", kubeconfig({"server": "https://other:1"}, {}))))
    assert cluster_access(None) == ClusterAccess(
        {"server": "https://10.96.0.1:443", "certificate-authority": str(pod / "ca.crt")},
        {"tokenFile": str(pod / "token")},
        "prod",
        None,
    )


def test_a_pod_with_an_address_of_ipv6(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an address stands in brackets."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    (pod / "namespace").unlink()
    access = cluster_access(None)
    assert (access.address, access.namespace) == ("https://[fd00::1]:443", None)


def test_a_pod_without_a_token_uses_the_kubeconfig(pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no service account is mounted, the kubeconfig is looked at."""
    (pod / "token").unlink()
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "config", kubeconfig({"server": "https://other:1"}, {}))))
    assert cluster_access(None).address == "https://other:1"


def test_the_usual_kubeconfig(tmp_path: Path) -> None:
    """Without KUBECONFIG it is ~/.kube/config, and its current context."""
    write(tmp_path / "home/.kube/config", kubeconfig({"server": "https://usual:1"}, {"token": "a"}))
    assert cluster_access(None).address == "https://usual:1"


def test_several_files_are_merged_and_their_paths_are_seen_from_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first file says stays, as with kubectl; entries may refer to those of another file."""
    first = {
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"client-certificate": "me.crt", "client-key": "/keys/me.key"}}],
        "current-context": "here",
    }
    second = kubeconfig(
        {"server": "https://second:1", "certificate-authority": "pki/ca.crt"}, {"token": "not this one"}
    ) | {"current-context": "elsewhere"}
    paths = [tmp_path / "missing", write(tmp_path / "a/config", first), write(tmp_path / "b/config", second)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)) + os.pathsep)
    assert cluster_access(None) == ClusterAccess(
        {"server": "https://second:1", "certificate-authority": str(tmp_path / "b/pki/ca.crt")},
        {"client-certificate": str(tmp_path / "a/me.crt"), "client-key": "/keys/me.key"},
        None,
        "here",
    )


def test_a_plugin_with_a_path_is_seen_from_the_folder_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command with a slash is relative to the kubeconfig, a bare name is looked up in PATH."""
    for command, expected in (("bin/login", str(tmp_path / "bin/login")), ("aws", "aws")):
        user = {"exec": {"apiVersion": "v1", "command": command}}
        monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "config", kubeconfig({"server": "https://a"}, user))))
        assert cluster_access(None).user["exec"]["command"] == expected


def test_no_cluster_is_configured(tmp_path: Path) -> None:
    """The error says where one was looked for."""
    with pytest.raises(InfrastructureNotAvailable) as caught:
        cluster_access(None)
    assert str(caught.value) == (
        "No Kubernetes cluster is configured: there is no cluster_config, this process is in no pod with a service "
        f"account, and there is no kubeconfig ({tmp_path}/home/.kube/config). Set one of them; KUBECONFIG names the "
        "kubeconfig."
    )


GOOD = kubeconfig({"server": "https://a:1"}, {"token": "s3cret"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {**GOOD, "current-context": ""},
            r"does not say which cluster is meant: No current context is set. Specify one",
        ),
        ({**GOOD, "current-context": "prod"}, r"Context 'prod' not found. Specify one of: here. `kubectl config use"),
        ({}, r"No current context is set. There are no contexts."),
        ({**GOOD, "users": []}, r"Context 'here' names user 'u', which is not there."),
        ({**GOOD, "clusters": []}, r"Context 'here' names cluster 'c', of which there is no server."),
        ({**GOOD, "clusters": "s3cret"}, r"The kubeconfig .*config is not valid: clusters is not a list."),
        ({**GOOD, "users": [{"user": {"token": "s3cret"}}]}, r"users\[0\] is not a mapping with a name."),
        ({**GOOD, "users": [{"name": "u", "user": "s3cret"}]}, r"user of users\[0\], 'u', is not a mapping."),
        ("- a\n- b", r"is not valid: a kubeconfig is a mapping with clusters, contexts and users."),
        ("users:\n- token: 's3cret\n", r"is not valid: it is not YAML in line \d"),
    ],
)
def test_a_kubeconfig_that_does_not_fit(
    config: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file, the entry and what there is, and no secret."""
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "config", config)))
    with pytest.raises(InfrastructureNotAvailable, match=message) as caught:
        cluster_access(None)
    assert "s3cret" not in str(caught.value)


def test_a_copy_of_a_block_with_a_wrong_value() -> None:
    """What validation would refuse is refused when the block is used."""
    block = KubernetesClusterConfig(config=GOOD, context_name="here")
    with pytest.raises(InvalidSettings, match="cluster_config: Context 'prod' not found. Specify one of: here."):
        cluster_access(block.model_copy(update={"context_name": "prod"}))
    assert cluster_access(block.model_copy(update={"config": yaml.safe_dump(GOOD)})) == cluster_access(block)


def test_the_same_configuration_has_the_same_key() -> None:
    """Blocks that say the same share connections, others do not."""
    keys = {
        cluster_access(KubernetesClusterConfig(config=config, context_name="here")).key
        for config in (GOOD, yaml.safe_dump(GOOD), kubeconfig({"server": "https://a:1"}, {"token": "other"}))
    }
    assert len(keys) == 2
