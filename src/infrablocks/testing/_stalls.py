"""Measure how long an event loop stalls, against a bare ticker that runs in a process of its own at the same time."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio import to_thread

from infrablocks._environment import inherited_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

_TICK_SECONDS = 0.01

# It ends when its stdin is closed, also when the process that measures dies.
_BARE_TICKER = f"""
import select, sys, time
worst, last, is_over = 0.0, time.monotonic(), False
print(flush=True)
while not is_over:
    is_over = select.select([sys.stdin], [], [], {_TICK_SECONDS})[0]
    before, last = last, time.monotonic()
    worst = max(worst, last - before - {_TICK_SECONDS})
print(worst)
"""


@dataclass
class Stalls:
    """The longest delays, in seconds, of two tickers that want to run every 10 ms.

    Attributes:
        loop: The delay of a task in the event loop, without the time in which its thread waited for a processor.
        bare: The delay of a process that does nothing else: what the machine alone causes.
    """

    loop: float = 0.0
    bare: float = 0.0

    @property
    def beyond_bare(self) -> float:
        """How much longer the event loop was kept than the machine explains."""
        return max(0.0, self.loop - self.bare)


@asynccontextmanager
async def measured_stalls() -> AsyncIterator[Stalls]:
    """Measure while the body runs; both figures are final when it has ended."""
    stalls = Stalls()

    async def tick() -> None:
        with _seconds_without_a_processor() as waited:
            last = time.monotonic() - waited()
            while True:
                try:
                    await anyio.sleep(_TICK_SECONDS)
                finally:  # the last tick is cancelled, perhaps by a body that has just kept the loop
                    before, last = last, time.monotonic() - waited()
                    stalls.loop = max(stalls.loop, last - before - _TICK_SECONDS)

    # A cancelled wait for the ticker's start or end may be abandoned: it ends by itself when its stdin is closed.
    bare = await to_thread.run_sync(_start_bare_ticker)
    try:
        with _objects_of_the_program_left_alone():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tick)
                await anyio.lowlevel.checkpoint()
                yield stalls
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            stalls.bare = await to_thread.run_sync(_end_bare_ticker, bare)


async def worst_stall(action: Callable[[], Awaitable[object]]) -> float:
    """Return how much longer, at worst, an action kept the event loop than the machine kept a bare ticker.

    Args:
        action: What is measured.

    Returns:
        Seconds.
    """
    async with measured_stalls() as stalls:
        await action()
    return stalls.beyond_bare


@contextmanager
def _objects_of_the_program_left_alone() -> Iterator[None]:
    """Have the garbage collector go over new objects only: all that a test suite has loaded keeps it for 100 ms.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _seconds_without_a_processor() -> Iterator[Callable[[], float]]:
    """Give what tells how long this thread has waited for a processor so far; always 0 where Linux does not count it.

    The second number of schedstat: https://docs.kernel.org/scheduler/sched-stats.html
    """
    try:
        statistics = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield lambda: 0.0
        return
    try:
        yield lambda: int(os.pread(statistics, 100, 0).split()[1]) / 1e9
    finally:
        os.close(statistics)


def _start_bare_ticker() -> subprocess.Popen[str]:
    words = [sys.executable, "-I", "-S", "-c", _BARE_TICKER]
    pipe, environment = subprocess.PIPE, inherited_environment()
    ticker = subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 (our own)
    assert ticker.stdout is not None  # noqa: S101 (it has a pipe)
    ticker.stdout.readline()
    return ticker


def _end_bare_ticker(ticker: subprocess.Popen[str]) -> float:
    worst, _ = ticker.communicate()
    return float(worst)
