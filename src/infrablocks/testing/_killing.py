"""Checks of `kill`, of `status` and of time limits."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from infrablocks._environment import inherited_environment
from infrablocks.base import Reason, WorkloadStatus
from infrablocks.exceptions import InfrastructureNotFound
from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import ContractBroken, contract, expect, expect_equal
from infrablocks.testing._driving import (
    KILLED_CODES,
    OBEDIENT,
    STUBBORN,
    Running,
    expect_gone,
    run_to_the_end,
)
from infrablocks.testing._kit import Kit
from infrablocks.testing._stalls import worst_stall

if TYPE_CHECKING:
    from infrablocks.base import Infrastructure, InfrastructureResult
    from infrablocks.testing._kit import MakeBlock, RunningWorkloads

_OTHER_PROCESS = """
import importlib, json, sys

path, module, name, fields, identifier = json.loads(sys.stdin.read())
sys.path[:] = path
block = getattr(importlib.import_module(module), name).model_validate_json(fields)
print(block.status(identifier).value)
block.kill(identifier, grace_seconds=20)
"""


class KillChecks(Kit):
    """A workload can be ended, gently and then firmly, and asked for its status."""

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_is_gentle_first(
        self, make_block: MakeBlock, running_workloads: RunningWorkloads | None
    ) -> None:
        """`kill` sends SIGTERM first: a workload that ends at that keeps its own exit code, and nobody waits longer."""
        grace_seconds = 4 * self.slack_seconds
        result, took = await self._killed(make_block, OBEDIENT, grace_seconds, running_workloads)
        expect_equal(result.status_code, 7, "The status code")
        expect(took < grace_seconds, f"`kill` has waited for the whole grace period ({took:.1f} s).")

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_is_firm_in_the_end(
        self, make_block: MakeBlock, running_workloads: RunningWorkloads | None
    ) -> None:
        """After the grace period, and not before, `kill` sends SIGKILL; it returns when the workload is gone."""
        result, took = await self._killed(make_block, STUBBORN, self.grace_seconds, running_workloads)
        expect(result.status_code in KILLED_CODES, f"The status code is {result.status_code}, not -9 or 137.")
        expect_equal(result.reason, Reason.KILLED, "The reason")
        in_time = 0.9 * self.grace_seconds <= took <= self.grace_seconds + self.slack_seconds
        expect(in_time, f"`kill` took {took:.1f} s, with a grace period of {self.grace_seconds:g} s.")

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_twice(self, make_block: MakeBlock, running_workloads: RunningWorkloads | None) -> None:
        """`kill` is safe to call twice, at the same time and once more: what is gone is at most not found."""
        block = self.block(make_block, OBEDIENT)
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            async with anyio.create_task_group() as kills:
                for _ in range(2):
                    kills.start_soon(_kill_or_not_found, block, identifier)
            await _kill_or_not_found(block, identifier)
            await expect_gone(block, identifier, running_workloads)

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_of_what_has_ended(self, make_block: MakeBlock) -> None:
        """To kill a workload that has ended by itself does nothing, or raises `InfrastructureNotFound`."""
        block = self.block(make_block, "exit 0")
        result, _ = await run_to_the_end(self, block)
        await _kill_or_not_found(block, result.identifier)

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_lets_the_event_loop_go_on(self, make_block: MakeBlock) -> None:
        """While a run is created, watched and killed, the event loop goes on: other tasks do not wait 100 ms."""
        stall = await worst_stall(lambda: self._killed(make_block, STUBBORN, self.grace_seconds, None))
        text = f"The loop has stalled for {stall:.3f} s longer than a bare ticker."
        expect(stall < self.longest_stall_seconds, text)

    @contract(Capability.LIFE_CYCLE)
    async def test_kill_from_another_process(self, make_block: MakeBlock) -> None:
        """Another process that has the block and the identifier can ask for the status and kill."""
        block = self.block(make_block, OBEDIENT)
        _skip_if_not_importable(type(block))
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            told = await to_thread.run_sync(_in_another_process, block, str(identifier), self.seconds_per_check)
            if told.returncode:
                tasks.cancel_scope.cancel()
                raise ContractBroken(f"The other process has failed:\n{told.stderr}")
            result = await running.end()
        expect_equal((told.stdout.strip(), result.status_code), ("Running", 7), "Its status there, and its code here")

    @contract(Capability.LIFE_CYCLE)
    async def test_status_of_what_runs(self, make_block: MakeBlock, running_workloads: RunningWorkloads | None) -> None:
        """`status` of a workload that runs is `Running`, also when another block asks."""
        block = self.block(make_block, OBEDIENT)
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            statuses = [await one.status(identifier) for one in (block, self.block(make_block, "exit 0"))]
            if running_workloads is not None:
                listed = await to_thread.run_sync(running_workloads)
                expect(str(identifier) in listed, f"`running_workloads` gives {listed} and not {identifier}.")
            await block.kill(identifier, grace_seconds=self.slack_seconds)
        expect_equal(statuses, [WorkloadStatus.RUNNING] * 2, "The statuses")

    @contract(Capability.LIFE_CYCLE)
    async def test_status_of_what_has_ended(self, make_block: MakeBlock) -> None:
        """`status` of a workload that has ended is `Succeeded` or `Failed`, or it is not found."""
        for code, expected in ((0, WorkloadStatus.SUCCEEDED), (3, WorkloadStatus.FAILED)):
            block = self.block(make_block, f"exit {code}")
            result, _ = await run_to_the_end(self, block)
            try:
                status = await block.status(result.identifier)
            except InfrastructureNotFound:
                expect(not self.has(Capability.ENDED), "It is not found, although the back end is to find what ended.")
            else:
                expect_equal(status, expected, f"The status after exit code {code}")

    @contract(Capability.LIFE_CYCLE)
    async def test_time_limit(self, make_block: MakeBlock, running_workloads: RunningWorkloads | None) -> None:
        """At `timeout_seconds` a workload is killed, also a silent one: reason `DeadlineExceeded`, and no success."""
        script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
        # It may be told to end before it listens: then the grace period comes on top, for which there must be time.
        limits = {"timeout_seconds": self.time_limit_seconds, "grace_seconds": self.grace_seconds}
        block = self.block(make_block, script, **limits)
        before = time.monotonic()
        result, _ = await run_to_the_end(self, block)
        took = time.monotonic() - before
        expect_equal(result.reason, Reason.DEADLINE_EXCEEDED, "The reason")
        expect(not result, "The result is a success.")
        in_time = self.time_limit_seconds <= took <= self.time_limit_seconds + self.slack_seconds
        expect(in_time, f"It took {took:.1f} seconds, with a limit of {self.time_limit_seconds:g}.")
        await expect_gone(block, result.identifier, running_workloads)

    @contract(Capability.LIFE_CYCLE)
    async def test_time_limit_that_is_kept(self, make_block: MakeBlock) -> None:
        """A workload that ends within `timeout_seconds` is not touched, and nobody waits for the limit."""
        limit = 2 * self.seconds_per_check
        result, _ = await run_to_the_end(self, self.block(make_block, "exit 3", timeout_seconds=limit))
        expect_equal((result.status_code, result.reason), (3, Reason.ERROR), "Status code and reason")

    async def _killed(
        self, make_block: MakeBlock, script: str, grace_seconds: float, running_workloads: RunningWorkloads | None
    ) -> tuple[InfrastructureResult, float]:
        block = self.block(make_block, script)
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(running)
            await running.first_line()
            before = time.monotonic()
            await block.kill(identifier, grace_seconds=grace_seconds)
            took = time.monotonic() - before
            try:
                await expect_gone(block, identifier, running_workloads)
            except ContractBroken:
                tasks.cancel_scope.cancel()
                raise
            result = await running.end()
        return result, took


async def _kill_or_not_found(block: Infrastructure, identifier: str | int) -> None:
    try:
        await block.kill(identifier, grace_seconds=20)
    except InfrastructureNotFound:
        return


def _skip_if_not_importable(block_class: type[Infrastructure]) -> None:
    try:
        found = getattr(importlib.import_module(block_class.__module__), block_class.__name__, None)
    except ImportError:
        found = None
    if found is not block_class:
        pytest.skip(f"another process cannot import {block_class.__name__} from {block_class.__module__}")


def _in_another_process(block: Infrastructure, identifier: str, seconds: float) -> subprocess.CompletedProcess[str]:
    block_class = type(block)
    fields = block.model_dump_json(exclude_unset=True)
    told = json.dumps([sys.path, block_class.__module__, block_class.__name__, fields, identifier])
    return subprocess.run(  # noqa: S603 (a command of our own)
        [sys.executable, "-c", _OTHER_PROCESS],
        env=inherited_environment(),
        input=told,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
