"""One coroutine function, called from a script, from either event loop, and from threads."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from infrablocks import sync_compatible
from tests.python_programs import PythonProgram

Seen = tuple[tuple[Any, ...], dict[str, Any], str, int]


@sync_compatible
async def add(first: int, *rest: int, scale: int = 1) -> int:
    """Add numbers, in a loop."""
    await checkpoint()
    return scale * (first + sum(rest))


@sync_compatible
async def thread() -> int:
    """Say which thread the coroutine runs in."""
    await checkpoint()
    return threading.get_ident()


@sync_compatible
async def fail() -> int:
    """Raise in a loop."""
    await checkpoint()
    raise LookupError("from the coroutine")


class Counter:
    """Has a method that is sync-compatible."""

    count = 0

    @sync_compatible
    async def increase(self, by: int) -> int:
        """Count on."""
        await checkpoint()
        self.count += by
        return self.count


def test_a_script_gets_the_result() -> None:
    """Outside of a loop the call runs to its end in this thread and returns the result."""
    assert add(1, 2, 3, scale=10) == 60
    assert add(first=1) == 1
    assert thread() == threading.get_ident()
    counter = Counter()
    assert [counter.increase(2), Counter.increase(counter, by=3)] == [2, 5]


@pytest.mark.anyio
async def test_a_loop_gets_an_awaitable() -> None:
    """Inside of a loop of asyncio or trio the call gives a coroutine, which does nothing until it is awaited."""
    counter = Counter()
    awaitable: Any = counter.increase(2)
    assert inspect.iscoroutine(awaitable)
    assert counter.count == 0
    assert await awaitable == 2
    assert await add(1, 2, scale=2) == 6  # type: ignore[misc]


@pytest.mark.anyio
async def test_a_worker_thread_of_anyio_goes_back_to_its_loop() -> None:
    """In a worker thread of anyio the call runs in the loop's own thread and returns the result."""
    assert await to_thread.run_sync(thread) == threading.get_ident()
    assert await to_thread.run_sync(lambda: add(1, 2)) == 3


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: anyio.run(lambda: coroutine)])
def test_another_thread_has_a_loop_of_its_own(run: Any) -> None:
    """In a thread of asyncio's pool, also below anyio, the call runs in a loop of that thread."""

    async def ask() -> tuple[int, int]:
        return await asyncio.to_thread(lambda: (threading.get_ident(), thread()))

    own, seen = run(ask())
    if inspect.iscoroutine(seen):
        seen.close()  # never awaited, which would be a second failure
    assert own == seen != threading.get_ident()


def test_scripts_in_many_threads() -> None:
    """Threads that call at the same time do not disturb each other."""
    results: list[int] = []
    threads = [threading.Thread(target=lambda number=number: results.append(add(number))) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == list(range(8))


def test_nested_calls() -> None:
    """A coroutine that is run from a script awaits others, and its worker threads call them as well."""

    @sync_compatible
    async def outer() -> list[int]:
        return [await add(1), await to_thread.run_sync(lambda: add(2))]  # type: ignore[misc]

    assert outer() == [1, 2]


def test_exceptions_in_a_script() -> None:
    """What the coroutine raises is raised by the call, as it is."""
    with pytest.raises(LookupError, match="^from the coroutine$"):
        fail()


@pytest.mark.anyio
async def test_exceptions_in_a_loop() -> None:
    """What the coroutine raises is raised where it is awaited, and in a worker thread by the call."""
    with pytest.raises(LookupError):
        await fail()  # type: ignore[misc]
    with pytest.raises(LookupError):
        await to_thread.run_sync(fail)


def test_the_wrapper_looks_like_the_function() -> None:
    """Name, docstring and arguments are those of the coroutine function, which is still there."""
    assert (add.__name__, add.__doc__) == ("add", "Add numbers, in a loop.")
    assert str(inspect.signature(add)) == "(first: 'int', *rest: 'int', scale: 'int' = 1) -> 'int'"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        add()  # type: ignore[call-arg]


INTERRUPTED = """
import sys, anyio
from infrablocks import sync_compatible

@sync_compatible
async def wait():
    try:
        print("waiting", flush=True)
        await anyio.sleep(300)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
            print("cleaned up", flush=True)

try:
    wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_a_script_that_is_interrupted() -> None:
    """Ctrl-C cancels the coroutine, which may clean up, and is then raised in the script as a KeyboardInterrupt."""
    with PythonProgram(INTERRUPTED) as script:
        assert script.stdout.readline() == b"waiting\n"
        script.send_signal(signal.SIGINT)
        assert script.communicate() == (b"cleaned up\ninterrupted\n", b"")
        assert script.returncode == 0
