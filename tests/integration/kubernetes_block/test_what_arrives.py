"""What of a block arrives in the container of a real Job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from infrablocks.kubernetes import KubernetesClusterConfig, KubernetesJob

if TYPE_CHECKING:
    from tests.engines.cluster_access import Account

# What is tested is what arrives in the container, whatever the event loop.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


@pytest.fixture
def config(runner: Account) -> KubernetesClusterConfig:
    """Give the block that says which cluster, for somebody with the documented rights."""
    return KubernetesClusterConfig.from_file(runner.kubeconfig)


@pytest.mark.parametrize("secrets", ["secret", "inline"])
async def test_a_run(
    config: KubernetesClusterConfig,
    kubernetes_namespace: str,
    secrets: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Command and variables arrive as they are, secret or not; the result is that of the command."""
    job = KubernetesJob(
        cluster_config=config,
        namespace=kubernetes_namespace,
        image="busybox:test",
        image_pull_policy="if-not-present",
        command=["sh", "-c", 'env | grep -E "^(PLAIN|TOKEN)" | sort; echo $$ $((1 + 1)); exit 3'],
        env={"OTHER": "o", "PLAIN": "a $$ b $(OTHER)", "TOKEN": SecretStr("t0ken $$ $(OTHER)")},
        labels={"team": "dätä"},
        name="Größe",
        secrets=secrets,
    )
    with caplog.at_level(logging.DEBUG):
        result = await job.run()
    output = "PLAIN=a $$ b o\nTOKEN=t0ken $$ $(OTHER)\n1 2\n"
    assert (result.status_code, capfd.readouterr().out) == (3, output)
    _, namespace, name, uid = result.identifier.split(":")
    assert (namespace, len(uid)) == (kubernetes_namespace, 36)
    assert name.startswith("grosse-")
    assert "t0ken" not in caplog.text
