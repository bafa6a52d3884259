"""The SDK's own interfaces of a block's cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kubernetes.client import ApiException, Configuration, CoreV1Api

from infrablocks import InfrastructureNotAvailable
from infrablocks.kubernetes import KubernetesClusterConfig, KubernetesJob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster
    from tests.engines.kubernetes import Kubernetes


def uid_of(core: CoreV1Api) -> str | None:
    metadata = core.read_namespace("kube-system").metadata
    assert metadata
    return metadata.uid


def test_each_reaches_its_own_cluster(cluster: Kubernetes, second_cluster: Cluster) -> None:
    """Two blocks with two clusters, used at the same time; the SDK's global configuration stays as it was."""
    blocks = [
        KubernetesJob(cluster_config=KubernetesClusterConfig.from_file(one.kubeconfig))
        for one in (cluster, second_cluster)
    ]
    default = Configuration.get_default_copy().host
    with blocks[0].get_client() as first, blocks[1].get_client() as second, blocks[0].get_batch_client() as batch:
        uids = [uid_of(core) for core in (first, second, first)]
        with pytest.raises(ApiException) as caught:
            batch.read_namespaced_job("gone", "default")
    expected = [
        one.api("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"] for one in (cluster, second_cluster)
    ]
    assert uids == [expected[0], expected[1], expected[0]]
    assert caught.value.status == 404
    assert Configuration.get_default_copy().host == default


def test_without_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing configured is an error of the library's own."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    with (
        pytest.raises(InfrastructureNotAvailable, match=r"No Kubernetes cluster is configured"),
        KubernetesJob().get_client(),
    ):
        pass
    with pytest.raises(InfrastructureNotAvailable, match=r"No Kubernetes cluster is configured"):
        KubernetesJob().preview(server=True)
