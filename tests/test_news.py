"""How runs are woken: by what happens, or at a time."""

from __future__ import annotations

import time

import anyio
import pytest

from infrablocks import _alarms, _news
from infrablocks._alarms import alarms
from infrablocks._news import News
from infrablocks._threads import run_in_worker_thread
from tests.kubernetes_client.clock import Clock
from tests.processes import WAIT_SECONDS, wait_until
from tests.python_programs import PythonProgram
from tests.tracked_objects import count_of_new_objects

pytestmark = pytest.mark.anyio


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
    for until in (float("inf"), time.monotonic() + 3600):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_in_worker_thread, news.notify)
            with anyio.fail_after(WAIT_SECONDS):
                assert await news.wait(until)


async def test_each_is_woken_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before it, in the order of the times, also where one is set that is earlier than all others."""
    clock = Clock()
    monkeypatch.setattr(_alarms, "time", clock)
    monkeypatch.setattr(_news, "alarms", _alarms.Alarms())
    begun = clock.now
    woken: list[float] = []

    async def wait(seconds: float) -> None:
        assert not await News().wait(begun + seconds)
        woken.append(seconds)

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            for seconds in (0.3, 0.2, 0.1, -1):
                tasks.start_soon(wait, seconds)
            for count, now in enumerate((0, 0.1, 0.2, 0.3), 1):
                clock.now = begun + now
                await anyio.to_thread.run_sync(wait_until, lambda count=count: len(woken) >= count)
                assert woken == [-1, 0.1, 0.2, 0.3][:count]


async def test_nothing_is_left_of_a_wait_that_was_cancelled() -> None:
    """The clock is not looked at for it, and the next wait is as any other."""
    news = News()
    with anyio.move_on_after(0.01) as cancelled:
        await news.wait(time.monotonic() + 60)
    assert cancelled.cancelled_caught
    assert not alarms._due
    until = time.monotonic() + 0.05
    assert not await news.wait(until)
    assert time.monotonic() >= until


async def test_many_wait_with_few_objects() -> None:
    """A wait with a time costs the garbage collector no more than one without."""
    counts = [await _tracked_objects(until) for until in (float("inf"), time.monotonic() + 3600)]
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
