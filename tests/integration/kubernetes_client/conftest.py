"""A proxy in front of the cluster, and a client that goes through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from tests.integration.kubernetes_client.api_proxy import ApiProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.kubernetes._client import Cluster as Client
    from tests.engines.kubernetes import Kubernetes


@pytest.fixture
def anyio_backend() -> str:
    """These tests are about clusters; tests/kubernetes_client runs on both event loops."""
    return "asyncio"


@pytest.fixture
def proxy(cluster: Kubernetes) -> Iterator[ApiProxy]:
    """A proxy between this test and the cluster."""
    with ApiProxy(cluster).serving() as proxy:
        yield proxy


@pytest.fixture
def client(cluster: Kubernetes, proxy: ApiProxy, kubernetes_namespace: str) -> Iterator[Client]:
    """A client of the cluster that goes through the proxy."""
    token = cluster.users.token("admin")
    path = cluster.kubeconfig_for(f"proxy-{kubernetes_namespace}", token=token, server=proxy.url)
    client = acquire_cluster(KubernetesClusterConfig.from_file(path))
    yield client
    release_cluster(client)
