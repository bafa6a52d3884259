"""Stalls of an event loop are measured against a bare ticker in a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import time

import anyio
import pytest

from infrablocks.testing._stalls import measured_stalls, worst_stall
from tests.processes import children, wait_until

pytestmark = pytest.mark.anyio


def keep_the_loop(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_a_call_that_blocks_the_loop_is_seen() -> None:
    """What computes in the loop for three seconds is a stall, of which a machine that is slow takes away little."""

    async def block() -> None:
        await anyio.sleep(0.05)
        keep_the_loop(3)

    assert await worst_stall(block) > 0.5
    assert children() == set()


async def test_what_the_machine_does_to_a_bare_ticker_is_no_stall() -> None:
    """While the bare ticker is stopped for as long as the loop is blocked, nothing is left of the stall."""
    before = children()
    async with measured_stalls() as stalls:
        (ticker,) = children() - before
        os.kill(ticker, signal.SIGSTOP)
        await anyio.sleep(0.05)
        keep_the_loop(0.5)
        await anyio.sleep(0.05)
        keep_the_loop(0.5)
        os.kill(ticker, signal.SIGCONT)  # perhaps it only runs again after the measurement: that counts, too
    assert stalls.loop > 0.4
    assert stalls.bare > stalls.loop
    assert stalls.beyond_bare == 0


async def test_what_the_program_has_loaded_is_no_stall() -> None:
    """The garbage collector goes over objects that the measured action has made, and over all of them afterwards."""
    loaded: list[object] = []
    before = len(gc.get_objects())
    async with measured_stalls():
        made: list[object] = []
        seen = gc.get_objects()
        assert len(seen) < before / 2
        assert not any(each is loaded for each in seen)
        assert any(each is made for each in seen)
    assert gc.get_freeze_count() == 0
    assert any(each is loaded for each in gc.get_objects())


async def test_a_cancelled_measurement_leaves_no_process() -> None:
    """The ticker ends with the measurement."""
    with anyio.CancelScope() as scope:
        async with measured_stalls():
            scope.cancel()
            await anyio.sleep(300)
    await anyio.to_thread.run_sync(wait_until, lambda: children() == set())
