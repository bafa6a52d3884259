"""Starts that the watch does not tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.integration.kubernetes_run.driving import Identifier, Jobs, Lines

if TYPE_CHECKING:
    from infrablocks.base import InfrastructureResult
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_silent_watch(proxied: Jobs, proxy: ApiProxy) -> None:
    """A Job that has started is not taken for one that has not because the watch of pods has fallen silent."""
    block = proxied.block("echo running; sleep 8; exit 3", pod_watch_timeout_seconds=6)
    told, output, results = Identifier(), Lines(), list["InfrastructureResult"]()

    async def run() -> None:
        results.append(await block.run(told, output=output))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await told.get()
        assert proxy.stall(r"/pods\?.*watch=true") == 1
    assert [(result.status_code, output.text) for result in results] == [(3, "running\n")]
