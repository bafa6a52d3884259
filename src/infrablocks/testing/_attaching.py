"""Checks of `attach`: the same result and the same output, for whoever comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.exceptions import UnsupportedOperation
from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import ContractBroken, contract, expect_equal
from infrablocks.testing._driving import OBEDIENT, Lines, Running, output_to, run_to_the_end
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from infrablocks.base import Infrastructure, InfrastructureResult
    from infrablocks.testing._kit import MakeBlock


class AttachChecks(Kit):
    """Who attaches to a workload learns what its first run has learned, or would have."""

    @contract(Capability.LIFE_CYCLE, Capability.ATTACH)
    async def test_attach_beside_the_run(self, make_block: MakeBlock) -> None:
        """`attach` to a workload that runs gives the result of its `run`, and the output from the beginning."""
        block = self.block(make_block, OBEDIENT)
        running = Running(self, block)
        attached: list[tuple[InfrastructureResult, Lines]] = []
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            tasks.start_soon(_attach, self, block, identifier, attached)
            await anyio.sleep(0.2)  # it may be there before the end, or come later: both must do
            await block.kill(identifier, grace_seconds=20)
        ((result, lines),) = attached
        expect_equal(result, running.result, "The result of `attach`")
        if self.has(Capability.OUTPUT):
            expect_equal(lines.text(), running.lines.text(), "The output of `attach`")

    @contract(Capability.LIFE_CYCLE, Capability.ATTACH)
    async def test_attach_after_the_watcher_is_gone(self, make_block: MakeBlock) -> None:
        """`attach` to a workload whose run was cancelled gives its own exit code and the output from the beginning."""
        block = self.block(make_block, OBEDIENT, on_cancel="leave")
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            tasks.cancel_scope.cancel()
        attached: list[tuple[InfrastructureResult, Lines]] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_attach, self, block, identifier, attached)
            await block.kill(identifier, grace_seconds=20)
        ((result, lines),) = attached
        expect_equal((result.identifier, result.status_code), (str(identifier), 7), "Identifier and status code")
        if self.has(Capability.OUTPUT):
            expect_equal(lines.text(), "running\n", "The output of `attach`")

    @contract(Capability.ATTACH, Capability.ENDED)
    async def test_attach_after_the_end(self, make_block: MakeBlock) -> None:
        """`attach` to a workload that has ended gives the result and the whole output of its `run`."""
        block = self.block(make_block, "echo one; echo two; exit 3")
        result, lines = await run_to_the_end(self, block)
        attached: list[tuple[InfrastructureResult, Lines]] = []
        await _attach(self, block, result.identifier, attached)
        ((again, lines_again),) = attached
        expect_equal(again, result, "The result of `attach`")
        if self.has(Capability.OUTPUT):
            expect_equal(lines_again.text(), lines.text(), "The output of `attach`")

    @contract(Capability.OUTPUT, Capability.LIFE_CYCLE, Capability.ATTACH)
    async def test_attach_after_a_cursor(self, make_block: MakeBlock) -> None:
        """`attach` after the cursor of an earlier watcher goes on there: each line comes once, in order."""
        block = self.block(make_block, f"echo one; echo two; echo three; {OBEDIENT}", on_cancel="leave")
        running = Running(self, block, remember_at="two\n")
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            tasks.cancel_scope.cancel()
        lines = Lines()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: block.attach(identifier, after=running.remembered, output=lines))
            await block.kill(identifier, grace_seconds=20)
        expect_equal(lines.text(), "three\nrunning\n", f"What comes after the cursor {running.remembered}")

    @contract(Capability.LIFE_CYCLE, Capability.LOGS)
    async def test_logs(self, make_block: MakeBlock) -> None:
        """`logs` passes on what a workload has printed so far, and does not wait for its end."""
        block = self.block(make_block, OBEDIENT)
        running, lines = Running(self, block), Lines()
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            await block.logs(identifier, output=lines)
            await block.kill(identifier, grace_seconds=20)
        expect_equal(lines.text(), "running\n", "What `logs` has passed on")

    @contract()
    async def test_attach_that_is_missing(self, make_block: MakeBlock) -> None:
        """A back end without `attach` raises `UnsupportedOperation`."""
        if self.has(Capability.ATTACH):
            pytest.skip(f"{type(self).__name__} has attach")
        can_end = self.has(Capability.LIFE_CYCLE)
        block = self.block(make_block, OBEDIENT if can_end else "exit 0")
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(Running(self, block))
            try:
                _ = await block.attach(identifier)
            except UnsupportedOperation:
                return
            finally:
                with anyio.CancelScope(shield=True):
                    if can_end:
                        await block.kill(identifier, grace_seconds=self.slack_seconds)
        raise ContractBroken("`attach` has returned.")


async def _attach(
    kit: Kit, block: Infrastructure, identifier: str | int, attached: list[tuple[InfrastructureResult, Lines]]
) -> None:
    lines = Lines()
    attached.append((await block.attach(identifier, **output_to(kit, lines)), lines))
