"""Whoever takes the output may stall: neither the event loop nor a cancellation waits for that."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import InfrastructureNotFound

if TYPE_CHECKING:
    from tests.integration.cancellation.conftest import MakeBlock

pytestmark = [pytest.mark.integration, pytest.mark.anyio, pytest.mark.timeout(120)]

# More than all buffers on the way can hold.
SCRIPT = f"yes {'x' * 999} | head -c 4000000; sleep 100"
LOOK_SECONDS = 1.0
LONGEST_STALL_SECONDS = 0.1
# As little as it takes, and time for a busy machine.
CANCEL_SECONDS = 1.0 + 1.0


async def longest_stall(seconds: float) -> float:
    """Measure how long the event loop lets a task wait that wants to go on every 10 ms."""
    longest, end, last = 0.0, time.monotonic() + seconds, time.monotonic()
    while last < end:
        await anyio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


async def test_stalled_reader(left_block: MakeBlock) -> None:
    """The loop stalls for less than 100 ms, and the cancelled run returns within a second (PITFALL 20)."""
    printed, may_go_on = threading.Event(), threading.Event()

    def stalled(_stream: str, _line: str) -> None:
        printed.set()
        may_go_on.wait(60)

    block = left_block(SCRIPT)
    try:
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(partial(block.run, output=stalled))
            await anyio.to_thread.run_sync(printed.wait)
            stall = await longest_stall(LOOK_SECONDS)
            begun = time.monotonic()
            tasks.cancel_scope.cancel()
        took = time.monotonic() - begun
    finally:
        may_go_on.set()
    with suppress(InfrastructureNotFound):  # a process that is not detached ends when nobody reads its pipe
        await block.kill(identifier, grace_seconds=0)
    assert (stall < LONGEST_STALL_SECONDS, took < CANCEL_SECONDS) == (True, True), (stall, took)
