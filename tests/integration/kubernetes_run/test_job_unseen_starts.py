"""Starts that the watch does not tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.kubernetes import _watch
from tests.integration.kubernetes_run.driving import LOOK, Gate, Identifier, Jobs, Lines, added, name_of, until

if TYPE_CHECKING:
    from infrablocks.base import InfrastructureResult
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_silent_watch(
    cluster: Kubernetes, proxied: Jobs, proxy: ApiProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Job that has started is not taken for one that has not because the watch of pods has fallen silent."""
    monkeypatch.setattr(_watch, "_PODS_FOLLOW_SECONDS", 1.0)  # they do not
    told, output, results = Identifier(), Lines(), list["InfrastructureResult"]()
    proxy.answer(LOOK, 400, times=10**6)  # until the pod runs, the limit for its start is of no importance

    with Gate(cluster.node.network.machine_address) as gate:
        block = proxied.block(
            f"echo running; {gate.command}; exit 3", pod_watch_timeout_seconds=1, customizations=added(suspend=True)
        )

        async def run() -> None:
            results.append(await block.run(told, output=output))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            job = name_of(await told.get())
            assert proxy.stall(r"/pods\?.*watch=true") == 1
            proxied.change("jobs", job, {"spec": {"suspend": False}})
            await until(lambda: proxied.pod_phases() == ["Running"])
            asked = len(proxy.lines(LOOK))
            proxy.forget()
            await until(lambda: len(proxy.lines(LOOK)) > asked)
            gate.open()
    assert [(result.status_code, output.text) for result in results] == [(3, "running\n")]
