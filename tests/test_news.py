"""How runs are woken: by what happens, or at a time."""

from __future__ import annotations

import time

import anyio
import pytest

from infrablocks._alarms import alarms
from infrablocks._news import News
from infrablocks._threads import run_in_worker_thread
from tests.python_programs import PythonProgram
from tests.tracked_objects import count_of_new_objects

pytestmark = pytest.mark.anyio

WAIT_SECONDS = 10


async def test_what_came_before_counts() -> None:
    """News that came while nobody waited is there at once, and only once."""
    news = News()
    news.notify()
    news.notify()
    with anyio.fail_after(WAIT_SECONDS):
        assert await news.wait()
        assert not await news.wait(time.monotonic())


async def test_news_from_a_thread() -> None:
    """A run that waits is woken from another thread, with a time and without."""
    news = News()
    for until in (float("inf"), time.monotonic() + 60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_in_worker_thread, news.notify)
            with anyio.fail_after(WAIT_SECONDS):
                assert await news.wait(until)


async def test_each_is_woken_at_its_own_time() -> None:
    """Not before it, in the order of the times, also where one is set that is earlier than all others."""
    begun = time.monotonic()
    woken: list[tuple[int, float]] = []

    async def wait(number: int, seconds: float) -> None:
        assert not await News().wait(begun + seconds)
        woken.append((number, time.monotonic() - begun))

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            for number, seconds in enumerate((0.6, 0.4, 0.2, -1)):
                tasks.start_soon(wait, number, seconds)
    assert [number for number, _ in woken] == [3, 2, 1, 0]
    assert all(after >= seconds for (_, after), seconds in zip(woken, (-1, 0.2, 0.4, 0.6), strict=True))


async def test_nothing_is_left_of_a_wait_that_was_cancelled() -> None:
    """The clock is not looked at for it, and the next wait is as any other."""
    news = News()
    with anyio.move_on_after(0.01) as cancelled:
        await news.wait(time.monotonic() + 60)
    assert cancelled.cancelled_caught
    assert not alarms._due
    assert not await news.wait(time.monotonic() + 0.01)


async def test_many_wait_with_few_objects() -> None:
    """A wait with a time costs the garbage collector no more than one without."""
    counts = [await _tracked_objects(until) for until in (float("inf"), time.monotonic() + 60)]
    assert abs(counts[0] - counts[1]) < 100


async def _tracked_objects(until: float) -> int:
    """Count what is new while a hundred tasks wait."""
    with count_of_new_objects() as count:
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(News().wait, until)
            await anyio.wait_all_tasks_blocked()
            counted = count()
            tasks.cancel_scope.cancel()
    return counted


FORKS = """
import os, sys, threading, time
import anyio
from infrablocks._news import News

def wait():
    return anyio.run(News().wait, time.monotonic() + 0.01)

wait()
assert any(thread.name == "infrablocks-alarms" for thread in threading.enumerate())
if not os.fork():
    sys.exit(1 if wait() else 7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_in_the_child_of_a_fork() -> None:
    """The thread that looks at the clock is not there, and another one begins."""
    with PythonProgram(f"import warnings; warnings.simplefilter('ignore')\n{FORKS}") as program:
        assert program.communicate() == (b"7\n", b"")
