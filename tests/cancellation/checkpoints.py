"""Cancelling a call at its first, second, third … checkpoint, on either event loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from anyio import CancelScope, get_cancelled_exc_class

from tests.processes import open_files, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")

Way = Literal["scope", "task"]
"""By a cancel scope of anyio, or by asyncio's own `Task.cancel`."""


class Counted(Generic[T]):
    """An awaitable that counts the checkpoints of a coroutine, and does something at one of them.

    A checkpoint is where the coroutine hands control to the event loop.

    Args:
        coroutine: Whose.
        number: At which, the first being 1.
        act: What to do there, before the loop gets control.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], number: int, act: Callable[[], object]) -> None:
        self._coroutine = coroutine
        self._number = number
        self._act = act
        self.count = 0

    def __await__(self) -> Generator[Any, Any, T]:
        send: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731
        while True:
            try:
                request = send()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            self.count += 1
            if self.count == self._number:
                self._act()
            try:
                answer = yield request
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
                send = lambda error=error: self._coroutine.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                send = lambda answer=answer: self._coroutine.send(answer)  # type: ignore[misc]  # noqa: E731


async def cancelled_at(number: int, call: Callable[[], Coroutine[Any, Any, object]], way: Way) -> bool:
    """Make a call and cancel it at one of its checkpoints; say whether it has come to that one.

    Args:
        number: Which checkpoint.
        call: What to call.
        way: How to cancel it.
    """
    if way == "scope":
        with CancelScope() as scope:
            counted = Counted(call(), number, scope.cancel)
            await counted
        return counted.count >= number
    import asyncio  # noqa: PLC0415

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None
        counted = Counted(call(), number, task.cancel)
        try:
            await counted
        except get_cancelled_exc_class():
            pass
        return counted.count

    return await asyncio.create_task(run()) >= number


class Reported:
    """A task status that keeps what it is told."""

    def __init__(self) -> None:
        self.identifier: str | None = None

    def started(self, value: Any = None) -> None:
        """Called by the run."""
        self.identifier = str(value)


class Held:
    """What this program holds: files, and threads of ours other than those that wait for the next call."""

    def __init__(self) -> None:
        self._files = open_files()
        self._threads = self._busy_threads()

    @staticmethod
    def _busy_threads() -> int:
        names = [thread.name for thread in threading.enumerate()]
        return sum(name.startswith("infrablocks") and not name.startswith("infrablocks-worker") for name in names)

    def wait_until_let_go(self) -> None:
        """Wait until no more is held than at first."""
        wait_until(lambda: open_files() <= self._files and self._busy_threads() <= self._threads)
