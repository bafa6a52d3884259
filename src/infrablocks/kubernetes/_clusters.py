"""One client per cluster, user and process: made by the first run, its connections closed by the last."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infrablocks.kubernetes import _configuration
from infrablocks.kubernetes._access import cluster_access
from infrablocks.kubernetes._client import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

# After so long without a run a client is forgotten: a configuration may never come back.
_KEPT_SECONDS = 600.0

_clusters: dict[str, Cluster] = {}
_clusters_lock = threading.Lock()


def acquire_cluster(config: KubernetesClusterConfig | None) -> Cluster:
    """Give the cluster of a block, or that of the environment. Every call is to be followed by `release_cluster`.

    Blocks; for worker threads. No request is sent.

    Raises:
        InfrastructureNotAvailable: No cluster is configured, or there are no credentials.
        InvalidSettings: A copy of the block was given values that validation refuses.
    """
    access = cluster_access(config)
    key = access.key
    with _clusters_lock:
        _forget_unused()
        cluster = _clusters.get(key)
        if cluster is None:
            cluster = _clusters[key] = Cluster(access, config)
        cluster.users += 1
    try:
        cluster.connect()
    except BaseException:
        release_cluster(cluster)
        raise
    return cluster


def release_cluster(cluster: Cluster) -> None:
    """Give a cluster back; the last one to do so closes its connections."""
    with _clusters_lock:
        cluster.users -= 1
        if cluster.users == 0:
            cluster.unused_since = time.monotonic()
            cluster.close()


@contextmanager
def borrowed_cluster(config: KubernetesClusterConfig | None) -> Iterator[Cluster]:
    """Acquire a cluster for one call, and release it."""
    cluster = acquire_cluster(config)
    try:
        yield cluster
    finally:
        release_cluster(cluster)


def _forget_unused() -> None:
    now = time.monotonic()
    for key, cluster in list(_clusters.items()):
        if cluster.users == 0 and now - cluster.unused_since > _KEPT_SECONDS:
            del _clusters[key]


def _forget_clusters() -> None:
    global _clusters_lock  # noqa: PLW0603 - the lock of another process
    _clusters_lock = threading.Lock()
    _configuration.forget_lock()
    _clusters.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_clusters)
