"""Checks of cancellation: what becomes of the workload, at whatever moment it comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import contract, expect, expect_equal
from infrablocks.testing._driving import OBEDIENT, STUBBORN, Running, expect_gone, is_live
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from infrablocks.testing._kit import MakeBlock, RunningWorkloads

_MOMENTS = (0.0, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2)


class CancelChecks(Kit):
    """A run that is cancelled leaves what `on_cancel` says, and nothing that nobody knows of."""

    @contract(Capability.LIFE_CYCLE)
    async def test_cancelled_run_kills(self, make_block: MakeBlock, running_workloads: RunningWorkloads | None) -> None:
        """With `on_cancel="kill"` the workload is gone when a cancelled `run` returns: SIGTERM, and no longer wait."""
        took = await self._cancelled(make_block, OBEDIENT, 4 * self.slack_seconds, running_workloads)
        expect(took < 4 * self.slack_seconds, f"It has waited for the whole grace period ({took:.1f} s).")

    @contract(Capability.LIFE_CYCLE)
    async def test_cancelled_run_kills_in_time(
        self, make_block: MakeBlock, running_workloads: RunningWorkloads | None
    ) -> None:
        """A workload that ignores SIGTERM gets SIGKILL `grace_seconds` after its run was cancelled."""
        took = await self._cancelled(make_block, STUBBORN, self.grace_seconds, running_workloads)
        in_time = 0.9 * self.grace_seconds <= took <= self.grace_seconds + self.slack_seconds
        expect(in_time, f"It took {took:.1f} s, with a grace period of {self.grace_seconds:g} s.")

    @contract(Capability.LIFE_CYCLE)
    async def test_cancelled_run_leaves(self, make_block: MakeBlock, caplog: pytest.LogCaptureFixture) -> None:
        """With `on_cancel="leave"` the workload goes on, and a log line gives its identifier."""
        block = self.block(make_block, OBEDIENT, on_cancel="leave")
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            tasks.cancel_scope.cancel()
        expect(await is_live(block, identifier), "The workload has not gone on.")
        await block.kill(identifier, grace_seconds=self.slack_seconds)
        expect(str(identifier) in caplog.text, f"No log line gives the identifier {identifier}:\n{caplog.text}")

    @contract(Capability.LIFE_CYCLE)
    async def test_cancelled_at_any_moment(
        self, make_block: MakeBlock, running_workloads: RunningWorkloads | None
    ) -> None:
        """Wherever a run is cancelled in its first moments, nothing of it runs when it has returned, or later."""
        if running_workloads is None:
            pytest.skip(f"{type(self).__name__} has no fixture `running_workloads`, which asks the engine what runs")
        block = self.block(make_block, OBEDIENT, on_cancel="kill", grace_seconds=self.slack_seconds)
        before = set(await to_thread.run_sync(running_workloads))
        for moment in _MOMENTS:
            with anyio.move_on_after(moment):
                _ = await block.run()
            left = set(await to_thread.run_sync(running_workloads)) - before
            expect_equal(left, set(), f"What runs after a run that was cancelled after {moment:g} s")
        await anyio.sleep(_MOMENTS[-1])
        left = set(await to_thread.run_sync(running_workloads)) - before
        expect_equal(left, set(), "What runs a moment after the last of them")

    async def _cancelled(
        self, make_block: MakeBlock, script: str, grace_seconds: float, running_workloads: RunningWorkloads | None
    ) -> float:
        block = self.block(make_block, script, on_cancel="kill", grace_seconds=grace_seconds)
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            before = time.monotonic()
            tasks.cancel_scope.cancel()
        took = time.monotonic() - before
        await expect_gone(block, identifier, running_workloads)
        return took
