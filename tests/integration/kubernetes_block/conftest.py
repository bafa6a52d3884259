"""What the tests of the block on a real cluster share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infrablocks.kubernetes import KubernetesClusterConfig

if TYPE_CHECKING:
    from tests.engines.kubernetes import Kubernetes


@pytest.fixture
def config(cluster: Kubernetes) -> KubernetesClusterConfig:
    """Give the block that says which cluster."""
    return KubernetesClusterConfig.from_file(cluster.kubeconfig)
