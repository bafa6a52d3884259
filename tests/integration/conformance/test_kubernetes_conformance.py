"""`KubernetesJob` keeps the contract of back ends, on a real cluster."""

from __future__ import annotations

import hashlib
import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest

from infrablocks import KubernetesJob
from infrablocks.testing import Capability, MakeBlock, RunningWorkloads
from tests.conformance.measured_alone import MeasuredAlone
from tests.engines import images

if TYPE_CHECKING:
    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes


@pytest.mark.integration
class TestKubernetesJob(MeasuredAlone):
    """A Job, which the cluster keeps after its end. Its log has one stream only."""

    lacks = (Capability.SEPARATE_STREAMS,)
    grace_seconds = 1.0
    time_limit_seconds = 8.0
    slack_seconds = 20.0
    seconds_per_check = 240.0

    @pytest.fixture
    def anyio_backend(self) -> str:
        """A Job takes seconds; that both event loops work, the other back ends show."""
        return "asyncio"

    @pytest.fixture
    def make_block(self, runner: Account, kubernetes_namespace: str, monkeypatch: pytest.MonkeyPatch) -> MakeBlock:
        """Blocks of busybox in a namespace of the test."""
        monkeypatch.setenv("KUBECONFIG", str(runner.kubeconfig))
        return partial(KubernetesJob, image=images.BUSYBOX, namespace=kubernetes_namespace)

    @pytest.fixture
    def running_workloads(self, cluster: Kubernetes, kubernetes_namespace: str) -> RunningWorkloads:
        """Jobs that have not ended, by the API."""
        certificate = ssl.PEM_cert_to_DER_cert(cluster.ca_file.read_text())
        cluster_id = hashlib.sha256(cluster.address.encode() + certificate).hexdigest()[:8]

        def running() -> list[str]:
            jobs = cluster.api("GET", f"/apis/batch/v1/namespaces/{kubernetes_namespace}/jobs")["items"]
            found = [job["metadata"] for job in jobs if not job["status"].get("conditions")]
            return [f"{cluster_id}:{kubernetes_namespace}:{each['name']}:{each['uid']}" for each in found]

        return running
