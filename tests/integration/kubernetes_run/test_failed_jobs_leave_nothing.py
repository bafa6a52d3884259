"""Runs that fail close what they have opened."""

from __future__ import annotations

import anyio
import pytest

from infrablocks import WorkloadCreationError
from tests.integration.kubernetes_run.driving import Jobs, until
from tests.processes import open_files

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_failed_runs_leave_no_open_files(admin_jobs: Jobs) -> None:
    """As many files are open after 100 failed runs as before (PITFALL 42)."""
    block = admin_jobs.block("true").model_copy(update={"namespace": "no-such-namespace"})

    async def fail() -> None:
        with pytest.raises(WorkloadCreationError, match="no-such-namespace"):
            await block.run()

    await fail()
    before = open_files()
    for _ in range(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(fail)
    await until(lambda: open_files() <= before)  # threads close what they read when they end
