"""Kubeconfigs for the tests."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes.cluster import KubernetesClusterConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes_client.api_server import ApiServer


def kubeconfig(cluster: dict[str, Any], user: dict[str, Any], *, namespace: str | None = None) -> dict[str, Any]:
    """Give one with one context, `here`."""
    context = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": context}],
        "current-context": "here",
    }


def authority(folder: Path) -> dict[str, str]:
    """Give the entry of the authority of the test's certificates."""
    return {"certificate-authority-data": encoded(folder / "ca.pem")}


def encoded(path: Path) -> str:
    """Give the content of a file as kubeconfigs hold it."""
    return base64.b64encode(path.read_bytes()).decode()


def cluster_config(
    server: ApiServer, certificates: Path | None = None, user: dict[str, Any] | None = None
) -> KubernetesClusterConfig:
    """Give the block of a server."""
    cluster = {"server": server.address, **(authority(certificates) if certificates else {})}
    config = kubeconfig(cluster, {"token": "t0ken"} if user is None else user)
    return KubernetesClusterConfig(config=config, context_name="here")


def block(cluster: dict[str, Any], user: dict[str, Any]) -> KubernetesClusterConfig:
    """Give the block of a cluster and a user."""
    return KubernetesClusterConfig(config=kubeconfig(cluster, user), context_name="here")
