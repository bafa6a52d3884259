"""The border between the event loop and threads: worker-thread calls, and events that a thread sets.

Both backends of anyio are served. Every call says what happens when its task is cancelled.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio import CancelScope, from_thread
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from infrablocks._worker_threads import workers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from trio.lowlevel import TrioToken

P = ParamSpec("P")
T = TypeVar("T")


def in_event_loop() -> bool:
    """Say whether the caller runs in a task of asyncio or trio."""
    # Not anyio's own answer: that goes by a context variable, which asyncio.to_thread copies into its threads.
    return _trio_runs() or _asyncio_loop() is not None


def in_worker_thread() -> bool:
    """Say whether the caller runs in a worker thread of anyio, which has a loop to go back to."""
    try:
        from_thread.check_cancelled()
    except RuntimeError:
        return False
    return True


def _running_loop() -> asyncio.AbstractEventLoop | TrioToken:
    """Give what functions can be called in from any thread."""
    if _trio_runs():
        import trio  # noqa: PLC0415 (not a dependency of ours: only where somebody runs it)

        return trio.lowlevel.current_trio_token()
    loop = _asyncio_loop()
    if loop is None:
        raise RuntimeError("there is no event loop in this thread")
    return loop


# A loop that runs has been imported; asyncio, whose import takes long, may not be needed at all.
def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    if "asyncio" not in sys.modules:
        return None
    import asyncio  # noqa: PLC0415

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _trio_runs() -> bool:
    if "trio" not in sys.modules:
        return False
    import trio  # noqa: PLC0415 (not a dependency of ours: only where somebody runs it)

    return trio.lowlevel.in_trio_run()


def interrupted_at_awaits_only(
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> Coroutine[Any, Any, T]:
    """Call a coroutine function so that Ctrl-C is raised where it awaits something, and nowhere else.

    asyncio cancels the main task, which is the same. trio raises a KeyboardInterrupt wherever the code of a task is:
    between two lines of which the second was to clean up, or while a task group is entered, which then is never left.
    https://trio.readthedocs.io/en/stable/reference-lowlevel.html#trio.lowlevel.enable_ki_protection

    Args:
        function: What to call. A task that it starts is not covered: start that one with this function, too.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What is to be awaited, or to be run as a task.
    """
    if not _trio_runs():
        return function(*args, **kwargs)
    import trio  # noqa: PLC0415 (not a dependency of ours: only where somebody runs it)

    return trio.lowlevel.enable_ki_protection(_awaited)(function, *args, **kwargs)


# By which trio knows that what it calls is covered.
async def _awaited(function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    return await function(*args, **kwargs)


class ThreadsafeEvent:
    """An event of the running loop that any thread may set, and that one task at a time waits for.

    Setting it after the loop has ended does nothing. Thousands of runs wait at once, and the garbage collector goes
    over whatever they hold: on asyncio a wait is one future, in place of the two events that anyio would make.
    """

    def __init__(self) -> None:
        self._loop = _running_loop()
        self._is_set = False
        self._waiting: asyncio.Future[None] | anyio.Event | None = None

    def set(self) -> None:
        """Set the event, from any thread; never waits for the loop."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if hasattr(self._loop, "run_sync_soon"):
                self._loop.run_sync_soon(self._wake)
            else:
                self._loop.call_soon_threadsafe(self._wake)

    def is_set(self) -> bool:
        """Say whether the loop has learned that the event is set."""
        return self._is_set

    def wait(self) -> Awaitable[None]:
        """Wait until the event is set; what this gives is to be awaited at once."""
        if self._is_set:
            return checkpoint()
        if hasattr(self._loop, "run_sync_soon"):
            self._waiting = event = anyio.Event()
            return event.wait()
        self._waiting = future = self._loop.create_future()
        return future

    def _wake(self) -> None:
        self._is_set = True
        if isinstance(self._waiting, anyio.Event):
            self._waiting.set()
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class ThreadLimit:
    """How many worker threads one kind of call may use at once in a loop. Who comes first is served first.

    None of them comes out of anyio's own pool of 40, which belongs to the program that uses us. With its
    `CapacityLimiter` a task that waits would hold a dozen objects, and thousands of runs may wait to be begun.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        # Not anyio's RunVar: its look is a tenth of a run's first step, of which one turn of a loop may make thousands.
        self._loops: WeakKeyDictionary[object, _Places] = WeakKeyDictionary()

    async def acquire(self) -> None:
        """Wait for a place, which `release` gives back. Cancelled: there is none to give back."""
        places = self._places()
        given = ThreadsafeEvent()
        places.waiting[given] = None
        # Never at once: where thousands come in one turn of the loop, all have come before the first thread of them
        # takes the interpreter away from it.
        places.give()
        try:
            await given.wait()
        except BaseException:
            if given in places.waiting:
                del places.waiting[given]
            else:
                self.release()
            raise

    def release(self) -> None:
        """Give a place back, in the loop that it was acquired in."""
        places = self._places()
        places.free += 1
        places.give()

    def _places(self) -> _Places:
        loop = _running_loop()
        places = self._loops.get(loop)
        if places is None:
            places = self._loops[loop] = _Places(self._threads)
        return places


class _Places:
    """The places of one loop, and who waits for one."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.waiting: OrderedDict[ThreadsafeEvent, None] = OrderedDict()

    def give(self) -> None:
        """Give those who wait what is free."""
        while self.free and self.waiting:
            self.free -= 1
            self.waiting.popitem(last=False)[0].set()


async def run_in_worker_thread(function: Callable[[], T], limit: ThreadLimit | None = None) -> T:
    """Call a function in a worker thread and return its result.

    The call is never abandoned: when the task is cancelled, by a scope of anyio or by asyncio's own `Task.cancel`, this
    waits for the function's end and raises the cancellation only then. The function can hurry: `cancellation_requested`
    tells it so. What it made is to be kept by the caller where a cancellation must not lose it.

    Args:
        function: What to call.
        limit: How many calls of this kind may run at once; None for calls that only wait.
    """
    if limit is None:
        return await _run_in_worker_thread(function)
    await limit.acquire()
    try:
        return await _run_in_worker_thread(function)
    finally:
        limit.release()


async def _run_in_worker_thread(function: Callable[[], T]) -> T:
    await checkpoint_if_cancelled()
    call = _Call(function)
    workers.submit(call.make)
    try:
        await call.finished.wait()
    except BaseException:  # cancelled, or trio's KeyboardInterrupt
        call.cancellation_requested = True
        with CancelScope(shield=True):
            await _wait_through_cancellation(call.finished)
        raise
    return call.outcome()


class _Call(Generic[T]):
    """One call in a worker thread."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._context = copy_context()
        self._outcome: T
        self._error: BaseException | None = None
        self.finished = ThreadsafeEvent()
        self.cancellation_requested = False

    def make(self) -> None:
        """Make the call; in the thread."""
        token = self._context.run(_current_call.set, self)
        try:
            self._outcome = self._context.run(self._function)
        except BaseException as error:  # noqa: BLE001 (raised by the task)
            self._error = error
        finally:
            # Otherwise call and context would hold each other, until the garbage collector comes by.
            self._context.run(_current_call.reset, token)
            self.finished.set()

    def outcome(self) -> T:
        """Give the result, or raise what was raised."""
        if self._error is not None:
            raise self._error
        return self._outcome


_current_call: ContextVar[_Call[Any]] = ContextVar("infrablocks_current_call")


async def _wait_through_cancellation(finished: ThreadsafeEvent) -> None:
    while not finished.is_set():
        try:
            await finished.wait()
        except anyio.get_cancelled_exc_class():  # Task.cancel() once more, which no scope shields from
            continue


def cancellation_requested() -> bool:
    """Say, in a function that `run_in_worker_thread` called, whether the task that waits for it was cancelled."""
    call = _current_call.get(None)
    return call is not None and call.cancellation_requested
