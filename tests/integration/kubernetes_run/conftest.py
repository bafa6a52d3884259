"""What the tests of runs on a real cluster share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infrablocks.kubernetes import KubernetesClusterConfig, _logs
from tests.integration.kubernetes_client.api_proxy import ApiProxy
from tests.integration.kubernetes_run.driving import Jobs
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes


@pytest.fixture
def anyio_backend() -> str:
    """These tests are about clusters; one of them runs a Job on both event loops."""
    return "asyncio"


@pytest.fixture
def jobs(cluster: Kubernetes, kubernetes_namespace: str, runner: Account) -> Jobs:
    """What makes blocks for a namespace of the test's own."""
    return Jobs(cluster, kubernetes_namespace, KubernetesClusterConfig.from_file(runner.kubeconfig))


@pytest.fixture
def admin_jobs(cluster: Kubernetes, jobs: Jobs) -> Jobs:
    """What makes blocks for somebody who has all rights in all namespaces."""
    return replace(jobs, config=KubernetesClusterConfig.from_file(cluster.kubeconfig))


@pytest.fixture
def proxy(cluster: Kubernetes) -> Iterator[ApiProxy]:
    """A proxy between the runs of this test and the cluster."""
    with ApiProxy(cluster).serving() as proxy:
        yield proxy


@pytest.fixture
def proxied(cluster: Kubernetes, proxy: ApiProxy, jobs: Jobs, runner: Account) -> Jobs:
    """What makes blocks that reach the cluster through the proxy."""
    path = cluster.kubeconfig_for(f"proxy-{jobs.namespace}", token=runner.token, server=proxy.url)
    return replace(jobs, config=KubernetesClusterConfig.from_file(path))


@pytest.fixture
def one_look_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are not read once more because the cluster takes long to tell that a container has ended, or its log."""
    monkeypatch.setattr(_logs, "_END_FOLLOWS_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(_logs, "_SILENCE_SECONDS", WAIT_SECONDS)
