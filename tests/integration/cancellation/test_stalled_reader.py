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
from infrablocks._threads import ThreadsafeEvent
from infrablocks.testing._stalls import worst_stall
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.integration.cancellation.conftest import MakeBlock

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# More than all buffers on the way can hold.
SCRIPT = f"yes {'x' * 999} | head -c 4000000; sleep 100"
LOOK_SECONDS = 1.0
LONGEST_STALL_SECONDS = 0.1
# The reader stalls for WAIT_SECONDS, and whoever waits for it takes as long.
CANCEL_SECONDS = 10.0


@pytest.mark.alone("measures how long the event loop stalls")
async def test_stalled_reader(left_block: MakeBlock) -> None:
    """The loop stalls for less than 100 ms, and the cancelled run does not wait for its reader (PITFALL 20)."""
    printed, may_go_on = ThreadsafeEvent(), threading.Event()

    def stalled(_stream: str, _line: str) -> None:
        printed.set()
        may_go_on.wait(WAIT_SECONDS)

    block = left_block(SCRIPT)
    try:
        async with anyio.create_task_group() as tasks:
            identifier = await tasks.start(partial(block.run, output=stalled))
            await printed.wait()
            stall = await worst_stall(lambda: anyio.sleep(LOOK_SECONDS))
            begun = time.monotonic()
            tasks.cancel_scope.cancel()
        took = time.monotonic() - begun
    finally:
        may_go_on.set()
    with suppress(InfrastructureNotFound):  # a process that is not detached ends when nobody reads its pipe
        await block.kill(identifier, grace_seconds=0)
    assert (stall < LONGEST_STALL_SECONDS, took < CANCEL_SECONDS) == (True, True), (stall, took)
