"""The border between event loop and threads: nothing is abandoned, nothing waits for a free thread."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import CancelScope, from_thread, to_thread
from anyio.lowlevel import checkpoint

from infrablocks._threads import (
    ThreadLimit,
    ThreadsafeEvent,
    cancellation_requested,
    in_event_loop,
    in_worker_thread,
    run_in_worker_thread,
)
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Call:
    """A function for a worker thread, which says when it has begun and ends when it is told to."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.ended = False
        self.saw_cancellation = False

    def __call__(self) -> str:
        """Wait until it may end, or until it sees that its task was cancelled."""
        self.began.set()
        while not self.may_end.wait(0.002):
            if cancellation_requested():
                self.saw_cancellation = True
        self.ended = True
        return "result"

    async def has_begun(self) -> None:
        """Wait in the loop until the thread has begun."""
        await until(self.began.is_set)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until a thread has done something."""
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 (a thread of the test sets it)
            await anyio.sleep(0.002)


def fail() -> None:
    """Raise, as a call of an SDK does."""
    raise LookupError("from the thread")


async def test_the_result_comes_back() -> None:
    """What the function returns is returned; it ran in another thread."""
    assert await run_in_worker_thread(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("error", [LookupError("x"), StopIteration("x"), SystemExit(3), BaseException("x")])
async def test_exceptions_come_back_as_they_are(error: BaseException) -> None:
    """What the function raises is raised, the very same object, whatever it is."""

    def call() -> None:
        raise error

    caught: BaseException | None = None
    try:
        await run_in_worker_thread(call)
    except BaseException as raised:  # noqa: BLE001 (SystemExit is one of them)
        caught = raised
    assert caught is not None
    # A coroutine cannot raise StopIteration: Python itself makes a RuntimeError of it.
    assert (caught.__cause__ if isinstance(error, StopIteration) else caught) is error


async def test_a_cancelled_scope_waits_for_the_function() -> None:
    """The function sees that the scope was cancelled, runs to its end, and only then the cancellation is raised."""
    call = Call()
    cancelled = False
    with CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def caller() -> None:
                nonlocal cancelled
                try:
                    await run_in_worker_thread(call)
                except anyio.get_cancelled_exc_class():
                    cancelled = call.ended
                    raise

            tasks.start_soon(caller)
            await call.has_begun()
            assert not call.saw_cancellation
            scope.cancel()
            with CancelScope(shield=True):
                await until(lambda: call.saw_cancellation)
                assert not cancelled
                call.may_end.set()
    assert cancelled
    assert scope.cancelled_caught


@only_asyncio
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_task_that_asyncio_cancels_waits_for_the_function(times: int) -> None:
    """The same for Task.cancel, however often it is called."""
    call = Call()
    task = asyncio.create_task(run_in_worker_thread(call))
    await call.has_begun()
    assert not call.saw_cancellation
    for _ in range(times):
        task.cancel()
        await until(lambda: call.saw_cancellation)
        await asyncio.sleep(0.005)
        assert not task.done()
    call.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.ended


@only_asyncio
async def test_a_timeout_of_asyncio_waits_for_the_function() -> None:
    """asyncio.timeout, which cancels the task, ends as a TimeoutError after the function has ended."""
    call = Call()

    async def end_it_then() -> None:
        await until(lambda: call.saw_cancellation)
        assert not call.ended
        call.may_end.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end_it_then)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run_in_worker_thread(call)
    assert call.ended


@only_asyncio
async def test_cancelled_by_asyncio_at_every_step() -> None:
    """Cancelled after any number of turns of the loop, the call ends; a function that has begun has ended then."""
    for turns in range(25):
        began: list[int] = []
        ended: list[int] = []

        def call(began: list[int] = began, ended: list[int] = ended) -> None:
            began.append(1)
            ended.append(1)

        task = asyncio.create_task(run_in_worker_thread(call, ThreadLimit(1)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=WAIT_SECONDS)
        assert task.done(), turns
        assert began == ended
        assert task.cancelled() or ended


async def test_cancelled_scope_at_every_step() -> None:
    """The same for a scope that is cancelled."""
    for turns in range(15):
        began: list[int] = []
        ended: list[int] = []
        with CancelScope() as scope, anyio.fail_after(WAIT_SECONDS):
            async with anyio.create_task_group() as tasks:

                def call(began: list[int] = began, ended: list[int] = ended) -> None:
                    began.append(1)
                    ended.append(1)

                tasks.start_soon(run_in_worker_thread, call, ThreadLimit(1))
                for _ in range(turns):
                    await checkpoint()
                scope.cancel()
        assert began == ended


async def test_in_a_scope_that_is_cancelled_already() -> None:
    """The cancellation is raised, and the function is not called."""
    called: list[int] = []
    with CancelScope() as scope:
        scope.cancel()
        await run_in_worker_thread(lambda: called.append(1))
    assert scope.cancelled_caught
    assert called == []


async def test_a_shielded_call_sees_no_cancellation() -> None:
    """What is shielded, such as a kill after a cancellation, is not told to hurry by the scope outside."""
    seen = []
    with CancelScope() as scope:
        scope.cancel()
        with CancelScope(shield=True):
            seen.append(await run_in_worker_thread(cancellation_requested))
    assert seen == [False]


@only_asyncio
async def test_the_next_call_of_a_cancelled_task_sees_no_cancellation() -> None:
    """A call that a task makes after its cancellation, to clean up, is not told to hurry."""
    call = Call()
    seen: list[bool] = []

    async def with_clean_up() -> None:
        try:
            await run_in_worker_thread(call)
        finally:
            seen.append(await run_in_worker_thread(cancellation_requested))

    task = asyncio.create_task(with_clean_up())
    await call.has_begun()
    task.cancel()
    call.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [False]


def test_no_cancellation_outside_of_a_call() -> None:
    """Anywhere else nothing is cancelled."""
    assert cancellation_requested() is False


async def test_two_hundred_calls_wait_at_once() -> None:
    """Calls that only wait never wait for a free thread, and the pool of the program that uses us stays its own."""
    everyone = threading.Barrier(201)
    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(run_in_worker_thread, lambda: everyone.wait(WAIT_SECONDS))
        await checkpoint()
        assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
        # All 40 threads of the default pool can be had meanwhile; the last call to wait is one of its.
        await to_thread.run_sync(lambda: everyone.wait(WAIT_SECONDS))
    assert not everyone.broken


async def test_a_limit_holds() -> None:
    """No more calls run at once than the limit allows, but as many as that do; the others run later."""
    limit = ThreadLimit(3)
    lock = threading.Lock()
    running, most, ended = 0, 0, 0
    together = threading.Barrier(3)

    def call() -> None:
        nonlocal running, most, ended
        with lock:
            running += 1
            most = max(most, running)
        together.wait(WAIT_SECONDS)
        with lock:
            running -= 1
            ended += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(run_in_worker_thread, call, limit)
    assert (most, ended) == (3, 12)


async def test_one_task_may_use_a_limit_again_and_again() -> None:
    """Calls one after the other in one task do not stand in each other's way, nor do failed ones."""
    limit = ThreadLimit(1)
    for _ in range(3):
        with pytest.raises(LookupError):
            await run_in_worker_thread(fail, limit)
    assert await run_in_worker_thread(lambda: 1, limit) == 1


def test_a_limit_serves_one_loop_after_the_other(anyio_backend: str) -> None:
    """A limit belongs to a class and outlives the loops that use it."""
    limit = ThreadLimit(1)
    assert [anyio.run(run_in_worker_thread, lambda: 1, limit, backend=anyio_backend) for _ in range(2)] == [1, 1]


async def test_places_are_given_in_the_order_of_asking() -> None:
    """Who was cancelled meanwhile is passed over, and nobody overtakes."""
    limit = ThreadLimit(1)
    order: list[int] = []

    async def one(number: int, scope: CancelScope) -> None:
        with scope:
            await limit.acquire()
            order.append(number)
            await checkpoint()
            limit.release()

    await limit.acquire()
    async with anyio.create_task_group() as tasks:
        scopes = [CancelScope() for _ in range(4)]
        for number, scope in enumerate(scopes):
            tasks.start_soon(one, number, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        limit.release()
    assert order == [0, 2, 3]


async def test_a_place_given_to_a_task_that_is_cancelled_at_that_moment() -> None:
    """It is not lost, whether the task still learns of it or not."""
    limit = ThreadLimit(1)

    async def wait_for_it() -> None:
        await limit.acquire()
        limit.release()

    await limit.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_for_it)
        await anyio.wait_all_tasks_blocked()
        limit.release()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(WAIT_SECONDS):
        await limit.acquire()


async def test_calls_begin_when_all_of_a_turn_have_come() -> None:
    """No thread takes the interpreter away from a loop in which thousands begin at once."""
    limit = ThreadLimit(2)
    begun: list[int] = []
    asked: list[int] = []

    async def one() -> None:
        asked.append(len(begun))
        await run_in_worker_thread(lambda: begun.append(1), limit)

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(one)
    assert (asked, len(begun)) == ([0] * 1000, 1000)


@only_asyncio
async def test_a_call_leaves_nothing_to_the_garbage_collector() -> None:
    """What a call has made goes with its last user; in a program with thousands of runs a collection takes long."""
    await run_in_worker_thread(list)
    gc.collect()
    gc.freeze()  # what earlier tests have left
    gc.disable()
    try:
        for _ in range(20):
            await run_in_worker_thread(list)
        assert gc.collect() < 20
    finally:
        gc.enable()
        gc.unfreeze()


async def test_an_event_set_from_a_thread() -> None:
    """A waiting task goes on when another thread sets the event, and setting it twice is nothing."""
    event = ThreadsafeEvent()

    def set_twice() -> None:
        event.set()
        event.set()

    async def wait() -> None:
        await event.wait()

    thread = threading.Thread(target=set_twice)
    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            thread.start()
        await event.wait()
    await run_in_worker_thread(thread.join)
    assert event.is_set()


async def test_an_event_is_waited_for_again_after_a_cancellation() -> None:
    """A wait that was cancelled takes nothing from the next one."""
    event = ThreadsafeEvent()
    with anyio.move_on_after(0) as cancelled:
        await event.wait()
    assert cancelled.cancelled_caught
    assert not event.is_set()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_in_worker_thread, event.set)
        with anyio.fail_after(WAIT_SECONDS):
            await event.wait()


def test_an_event_of_a_loop_that_has_ended(anyio_backend: str) -> None:
    """Setting an event after its loop has ended does nothing."""

    async def make() -> ThreadsafeEvent:
        return ThreadsafeEvent()

    anyio.run(make, backend=anyio_backend).set()


async def test_where_the_caller_is() -> None:
    """A task is in a loop, a worker thread of anyio is in none but has one to go back to."""
    assert (in_event_loop(), in_worker_thread()) == (True, False)
    assert await to_thread.run_sync(lambda: (in_event_loop(), in_worker_thread())) == (False, True)
    assert await to_thread.run_sync(lambda: from_thread.run_sync(in_event_loop)) is True


@only_asyncio
async def test_a_thread_of_asyncio_is_in_no_loop() -> None:
    """A thread of asyncio's own pool has no loop, whoever started the loop."""
    assert await asyncio.to_thread(lambda: (in_event_loop(), in_worker_thread())) == (False, False)


def test_a_script_is_in_no_loop() -> None:
    """Outside of everything there is neither loop nor worker thread."""
    assert (in_event_loop(), in_worker_thread()) == (False, False)


def test_a_thread_of_asyncio_below_anyio_is_in_no_loop() -> None:
    """The same when anyio has started the loop, which leaves its mark in the context that the thread gets."""

    async def ask() -> tuple[bool, bool]:
        return await asyncio.to_thread(lambda: (in_event_loop(), in_worker_thread()))

    assert anyio.run(ask) == (False, False)
