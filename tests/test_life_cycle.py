"""The story of a run, with a back end that is not ours: created, reported, watched, killed where it must be, closed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anyio
import pytest
from anyio import CancelScope
from anyio.lowlevel import checkpoint
from pydantic import PrivateAttr

from infrablocks import (
    Infrastructure,
    InfrastructureError,
    InfrastructureResult,
    Reason,
    Workload,
    WorkloadCreationError,
    WorkloadStatus,
)
from infrablocks._life_cycle import TimeLimit
from infrablocks._threads import ThreadLimit, ThreadsafeEvent, run_in_worker_thread
from tests.processes import WAIT_SECONDS, is_alive
from tests.python_programs import PythonProgram
from tests.tracked_objects import count_of_new_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from infrablocks._output import Output, OutputPosition

pytestmark = pytest.mark.anyio
only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Result(InfrastructureResult):
    """How a run in memory ended."""


class World:
    """What there is outside of the library: the workloads that live, and all that happened to them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.living = 0
        self.ends = threading.Event()
        self.creating = threading.Event()
        self.may_create = threading.Event()
        self.may_create.set()
        self.status_code = 0
        self.ends_when_killed = True
        self.errors: dict[str, BaseException] = {}
        self.graces: list[float] = []

    def happens(self, event: str) -> None:
        """Note an event, and fail if the test wants it to."""
        self.events.append(event)
        if event in self.errors:
            raise self.errors[event]


class InMemory(Workload):
    """A workload that lives in a world."""

    def __init__(self, world: World) -> None:
        self.identifier = "w1"
        self._world = world
        self._ended: ThreadsafeEvent | None = None

    @property
    def reported_identifier(self) -> int:
        """A number, as the pid of a process."""
        return 1

    async def watch(self, output: Output) -> Result:
        """Print one line and wait until it ends."""
        self._world.happens("watch")
        await output.write("stdout", b"working\n")
        while not self._world.ends.is_set():  # noqa: ASYNC110 (a thread of the test sets it)
            await anyio.sleep(0.002)
        self._world.living = 0
        await output.finish()
        return Result(
            identifier="w1", status_code=self._world.status_code, reason=Reason.COMPLETED, message="It ended."
        )

    async def kill(self, grace_seconds: float) -> None:
        """End it in a worker thread, as an SDK does."""
        self._world.graces.append(grace_seconds)
        self._world.happens("kill")
        await run_in_worker_thread(self._kill)

    def _kill(self) -> None:
        self._world.living = 0
        self._world.happens("killed")
        if self._world.ends_when_killed:
            self._world.ends.set()

    async def status(self) -> WorkloadStatus:
        """Say whether it lives."""
        await checkpoint()
        self._world.happens("status")
        return WorkloadStatus.RUNNING if self._world.living else WorkloadStatus.UNKNOWN

    def close(self) -> None:
        """Close, in a worker thread."""
        self._world.events.append("closing")
        self._world.happens("closed")


class InMemoryBlock(Infrastructure):
    """Runs nothing, in a world."""

    _block_type_slug: ClassVar[str | None] = "test-in-memory"
    _world: World = PrivateAttr(default_factory=World)
    type: Literal["test-in-memory"] = "test-in-memory"

    def preview(self) -> str:
        """Show the command."""
        return " ".join(self.command)

    def _build(self) -> str:
        self._world.happens("build")
        return "settings"

    def _create(self, settings: str) -> InMemory:
        assert settings == "settings"
        self._world.creating.set()
        assert self._world.may_create.wait(WAIT_SECONDS)
        self._world.happens("create")
        self._world.living += 1
        return InMemory(self._world)

    def _find(self, identifier: str) -> InMemory:
        self._world.creating.set()
        assert self._world.may_create.wait(WAIT_SECONDS)
        self._world.happens(f"find {identifier}")
        return InMemory(self._world)

    def _reattach(self, identifier: str, after: OutputPosition | None) -> InMemory:
        self._world.creating.set()
        assert self._world.may_create.wait(WAIT_SECONDS)
        self._world.happens(f"reattach {identifier} {after and after.json()}")
        return InMemory(self._world)


class Reports:
    """A task_status that notes what it gets in the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def started(self, value: object = None) -> None:
        """Note it."""
        self._world.happens(f"reported {value!r}")


def ignore(_stream: str, _line: str) -> None:
    """Take a line and do nothing."""


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until something has happened."""
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 (a thread may set it)
            await anyio.sleep(0.002)


async def started(world: World, block: InMemoryBlock) -> Result:
    """Run a block with a task_status that notes what it gets."""
    result: Any = block.run(Reports(world), output=ignore)
    return await result  # type: ignore[no-any-return]


async def test_a_run_that_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Built, created, reported, watched, closed: each once, in this order; the result is logged."""
    block = InMemoryBlock()
    caplog.set_level(logging.INFO)
    block._world.ends.set()
    lines: list[tuple[str, str]] = []
    run: Any = block.run(Reports(block._world), output=lambda *line: lines.append(line))
    assert await run == Result(identifier="w1", status_code=0, reason=Reason.COMPLETED, message="It ended.")
    assert block._world.events == ["build", "create", "reported 1", "watch", "closing", "closed"]
    assert lines == [("stdout", "working\n")]
    assert caplog.record_tuples == [("infrablocks.test-in-memory", logging.INFO, "It ended.")]


@only_asyncio
async def test_runs_that_wait_to_be_begun_hold_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands may wait for their turn; each holds four objects more than a task that waits for a future."""
    monkeypatch.setattr(InMemoryBlock, "_creation_threads", ThreadLimit(1))
    block = InMemoryBlock()
    block._world.may_create.clear()
    block._world.ends.set()
    run: Any = block.run
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(block._world.creating.is_set)
        counts = [await _objects_of_a_hundred(tasks, call) for call in (_wait_for_a_future, run)]
        block._world.may_create.set()
        await until(lambda: block._world.events.count("closed") == 101)
        tasks.cancel_scope.cancel()
    assert counts[1] - counts[0] < 500


async def _wait_for_a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def _objects_of_a_hundred(tasks: TaskGroup, call: Callable[[], Any]) -> int:
    """Count what is new for the garbage collector while a hundred tasks wait in a call."""
    with count_of_new_objects() as count:
        for _ in range(100):
            tasks.start_soon(call)
        await checkpoint()
        await checkpoint()
        return count()


async def test_a_failed_workload_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A status code that is not 0 is a result, and logged as an error."""
    block = InMemoryBlock()
    block._world.ends.set()
    block._world.status_code = 3
    assert (await started(block._world, block)).status_code == 3
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "It ended.")]


async def test_a_task_group_gets_the_identifier() -> None:
    """TaskGroup.start returns what task_status.started got, once the workload exists and before it has ended."""
    block = InMemoryBlock()
    async with anyio.create_task_group() as tasks:
        assert await tasks.start(block.run) == 1
        assert block._world.living == 1
        block._world.ends.set()
    assert block._world.events[-1] == "closed"


async def test_cancelled_while_it_is_created() -> None:
    """What is created all the same is killed and closed, and nobody is told of it, whatever `on_cancel` says."""
    block = InMemoryBlock(on_cancel="leave", grace_seconds=7)
    world = block._world
    world.may_create.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(started, world, block)
        await until(world.creating.is_set)
        tasks.cancel_scope.cancel()
        world.may_create.set()
    assert world.events == ["build", "create", "kill", "killed", "closing", "closed"]
    assert (world.living, world.graces) == (0, [7.0])


async def test_cancelled_before_it_is_created() -> None:
    """Nothing is built or made then."""
    block = InMemoryBlock()
    with CancelScope() as scope:
        scope.cancel()
        await started(block._world, block)
    assert scope.cancelled_caught
    assert block._world.events == []


@pytest.mark.parametrize("timeout_seconds", [None, 300])
async def test_cancelled_while_it_is_watched(timeout_seconds: float | None) -> None:
    """With "kill" the workload is killed with the block's grace, then closed, once."""
    block = InMemoryBlock(on_cancel="kill", grace_seconds=7, timeout_seconds=timeout_seconds)
    world = block._world
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(started, world, block)
        await until(lambda: "watch" in world.events)
        tasks.cancel_scope.cancel()
    assert world.events == ["build", "create", "reported 1", "watch", "kill", "killed", "closing", "closed"]
    assert (world.living, world.graces) == (0, [7.0])


@pytest.mark.parametrize("on_cancel", ["leave", None])
@pytest.mark.parametrize("timeout_seconds", [None, 300])
async def test_cancelled_and_left(
    on_cancel: Literal["leave"] | None, timeout_seconds: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """With "leave", the default here, it goes on, is closed, and one line says how to find it again."""
    block = InMemoryBlock(on_cancel=on_cancel, timeout_seconds=timeout_seconds)
    world = block._world
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(started, world, block)
        await until(lambda: "watch" in world.events)
        tasks.cancel_scope.cancel()
    assert world.events == ["build", "create", "reported 1", "watch", "closing", "closed"]
    assert world.living == 1
    assert caplog.messages == [
        "The run was cancelled; workload w1 goes on. Watch it with attach('w1'), end it with kill('w1')."
    ]


def check_nothing_is_half_made(world: World) -> None:
    """A workload that was made is reported or gone, and closed once, as the very last."""
    made = world.events.count("create")
    assert world.events.count("closing") == world.events.count("closed") == made, world.events
    if made:
        assert world.events[-1] == "closed"
    if "reported 1" not in world.events:
        assert world.living == 0, world.events


@only_asyncio
@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize("timeout_seconds", [None, 300])
@pytest.mark.parametrize("again", [None, 1, 2])
async def test_asyncio_cancels_at_every_step(
    on_cancel: Literal["kill", "leave"], timeout_seconds: float | None, again: int | None
) -> None:
    """Cancelled by Task.cancel at every step, also again some steps later, no workload is half made or not reported."""
    for turns in range(40):
        block = InMemoryBlock(on_cancel=on_cancel, timeout_seconds=timeout_seconds)
        task = asyncio.create_task(started(block._world, block))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=WAIT_SECONDS)
        assert task.cancelled(), turns
        check_nothing_is_half_made(block._world)
        if on_cancel == "kill":
            assert block._world.living == 0


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize("timeout_seconds", [None, 300])
async def test_a_scope_is_cancelled_at_every_step(
    on_cancel: Literal["kill", "leave"], timeout_seconds: float | None
) -> None:
    """The same for a scope of anyio."""
    for turns in range(40):
        block = InMemoryBlock(on_cancel=on_cancel, timeout_seconds=timeout_seconds)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(started, block._world, block)
            for _ in range(turns):
                await checkpoint()
            tasks.cancel_scope.cancel()
        check_nothing_is_half_made(block._world)
        if on_cancel == "kill":
            assert block._world.living == 0


async def test_the_report_fails() -> None:
    """When nobody can be told of the workload it is killed and closed, and the error raised as it is."""
    block = InMemoryBlock(on_cancel="leave")
    block._world.errors["reported 1"] = LookupError("nobody listens")
    with pytest.raises(LookupError, match="nobody listens"):
        await started(block._world, block)
    assert block._world.events == ["build", "create", "reported 1", "kill", "killed", "closing", "closed"]


@pytest.mark.parametrize("where", ["build", "create"])
@pytest.mark.parametrize("error", [WorkloadCreationError("no"), ValueError("no"), OSError("no")])
async def test_creating_fails(where: str, error: Exception) -> None:
    """What creating raises is raised as it is; there is nothing to close."""
    block = InMemoryBlock(timeout_seconds=300)
    block._world.errors[where] = error
    with pytest.raises(type(error)) as raised:
        await started(block._world, block)
    assert raised.value is error
    assert block._world.events[-1] == where


@pytest.mark.parametrize("timeout_seconds", [None, 300])
@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize("error", [InfrastructureError("lost"), LookupError("lost")])
async def test_watching_fails(
    error: Exception,
    on_cancel: Literal["kill", "leave"],
    timeout_seconds: float | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What watching raises is raised as it is, in no group; the workload is killed or left."""
    block = InMemoryBlock(on_cancel=on_cancel, timeout_seconds=timeout_seconds)
    block._world.errors["watch"] = error
    with pytest.raises(type(error)) as raised:
        await started(block._world, block)
    assert raised.value is error
    kill = ["kill", "killed"] if on_cancel == "kill" else []
    assert block._world.events == ["build", "create", "reported 1", "watch", *kill, "closing", "closed"]
    assert len(caplog.records) == (0 if kill else 1)


async def test_killing_fails_after_a_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """A workload that cannot be killed is named in the log; the cancellation goes its way, and it is closed."""
    block = InMemoryBlock(on_cancel="kill")
    world = block._world
    world.errors["kill"] = InfrastructureError("it does not end")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(started, world, block)
        await until(lambda: "watch" in world.events)
        tasks.cancel_scope.cancel()
    assert world.events[-3:] == ["kill", "closing", "closed"]
    assert caplog.messages == ["Workload w1 could not be ended: it does not end"]


@pytest.mark.parametrize(("own_code", "status_code"), [(0, -1), (143, 143), (-9, -9), (3, 3)])
async def test_the_time_limit(own_code: int, status_code: int) -> None:
    """At its end the workload is killed with grace; the code is its own, but never 0, and the reason is told."""
    block = InMemoryBlock(timeout_seconds=0.05, grace_seconds=7)
    world = block._world
    world.status_code = own_code
    result = await started(world, block)
    assert (result.status_code, result.reason, bool(result)) == (status_code, Reason.DEADLINE_EXCEEDED, False)
    assert result.message.startswith("The run took longer than 0.05 seconds (timeout_seconds) and was killed.")
    assert world.events == ["build", "create", "reported 1", "watch", "kill", "killed", "closing", "closed"]
    assert world.graces == [7.0]


async def test_the_time_limit_of_another_field() -> None:
    """A back end may have a field of its own that limits a run: the message names it."""

    class OwnLimit(InMemoryBlock):
        """Has a time limit that no `timeout_seconds` says."""

        _block_type_slug: ClassVar[str | None] = "test-own-limit"

        def _time_limit(self) -> TimeLimit | None:
            return TimeLimit(0.05, "watch_seconds")

    block = OwnLimit()
    result = await started(block._world, block)
    assert result.message == "The run took longer than 0.05 seconds (watch_seconds) and was killed."


async def test_the_time_limit_counts_from_the_beginning() -> None:
    """A workload that took too long to be made is killed at once."""
    block = InMemoryBlock(timeout_seconds=0.05)
    world = block._world
    world.may_create.clear()

    async def create_late() -> None:
        await until(world.creating.is_set)
        await anyio.sleep(0.1)
        world.may_create.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(create_late)
        assert (await started(world, block)).reason is Reason.DEADLINE_EXCEEDED
    assert world.events.count("kill") == 1


async def test_the_time_limit_is_not_reached() -> None:
    """A run that ends in time has its own result, and does not wait for the limit."""
    block = InMemoryBlock(timeout_seconds=300)
    threading.Timer(0.05, block._world.ends.set).start()
    with anyio.fail_after(WAIT_SECONDS):
        assert (await started(block._world, block)).reason is Reason.COMPLETED
    assert "kill" not in block._world.events


@pytest.mark.parametrize("error", [InfrastructureError("it does not end"), LookupError("it does not end")])
async def test_killing_fails_at_the_time_limit(error: Exception) -> None:
    """What killing raises is raised as it is, in no group, and the workload is closed."""
    block = InMemoryBlock(timeout_seconds=0.05)
    block._world.errors["kill"] = error
    with pytest.raises(type(error)) as raised:
        await started(block._world, block)
    assert raised.value is error
    assert block._world.events[-1] == "closed"


async def test_the_watch_does_not_end_after_the_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the end of a killed workload is not seen in time, an error says so, and it is closed."""
    monkeypatch.setattr("infrablocks._life_cycle._READ_AFTER_KILL_SECONDS", 0.05)
    monkeypatch.setattr("infrablocks._life_cycle._WATCH_AFTER_KILL_SECONDS", 0.05)
    block = InMemoryBlock(timeout_seconds=0.05)
    block._world.ends_when_killed = False
    with pytest.raises(InfrastructureError, match="w1 was killed after 0.05 seconds .* its end could not be seen"):
        await started(block._world, block)
    assert block._world.events[-1] == "closed"


async def test_cancelled_during_the_kill_of_the_time_limit() -> None:
    """A run that is cancelled while its time limit kills leaves nothing behind."""
    for turns in range(30):
        block = InMemoryBlock(timeout_seconds=0.001, on_cancel="kill")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(started, block._world, block)
            await until(lambda block=block: "kill" in block._world.events)  # type: ignore[misc]
            for _ in range(turns):
                await checkpoint()
            tasks.cancel_scope.cancel()
        assert block._world.living == 0
        check_nothing_is_half_made(block._world)


async def test_attach_is_the_same_watching() -> None:
    """A workload that is found again is watched and closed as in a run, with the cursor passed on."""
    block = InMemoryBlock()
    block._world.ends.set()
    after = '{"version":1,"lines":{"stdout":3,"stderr":0}}'
    result: Any = block.attach(1, after=after, output=ignore)
    assert (await result).message == "It ended."
    assert block._world.events == [f"reattach 1 {after}", "watch", "closing", "closed"]


CALLS: dict[str, Callable[[InMemoryBlock], Any]] = {
    "attach": lambda block: block.attach("w1", output=ignore),
    "kill": lambda block: block.kill("w1"),
    "status": lambda block: block.status("w1"),
}


@pytest.mark.parametrize("call", ["kill", "status"])
async def test_found_workloads_are_closed(call: str) -> None:
    """After kill and status the found workload is closed, also when the call fails."""
    block = InMemoryBlock()
    await CALLS[call](block)
    assert block._world.events[0] == "find w1"
    assert block._world.events[-2:] == ["closing", "closed"]
    block._world.errors[call] = InfrastructureError("no")
    with pytest.raises(InfrastructureError, match="no"):
        await CALLS[call](block)
    assert block._world.events[-3:] == [call, "closing", "closed"]


@pytest.mark.parametrize("call", sorted(CALLS))
async def test_calls_that_are_cancelled_while_they_look(call: str) -> None:
    """A workload that was found for a call that is cancelled meanwhile is closed, and nothing happens to it."""
    block = InMemoryBlock()
    world = block._world
    world.may_create.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(CALLS[call], block)
        await until(world.creating.is_set)
        tasks.cancel_scope.cancel()
        world.may_create.set()
    assert world.events[1:] == ["closing", "closed"]


@pytest.mark.parametrize("call", sorted(CALLS))
async def test_calls_that_are_cancelled_at_every_step(call: str) -> None:
    """Wherever a call is cancelled, what it found is closed to the end, once."""
    for turns in range(40):
        block = InMemoryBlock()
        world = block._world
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(CALLS[call], block)
            for _ in range(turns):
                await checkpoint()
            tasks.cancel_scope.cancel()
        found = sum(event.startswith(("find", "reattach")) for event in world.events)
        assert world.events.count("closing") == world.events.count("closed") == found, (turns, world.events)


INTERRUPTED = """
import sys, anyio
from infrablocks import Process

class Told:
    def started(self, value):
        print(value, flush=True)

block = Process(command=["sleep", "300"], timeout_seconds=float(sys.argv[2]) if sys.argv[2:] else None)
anyio.run(block.run, Told(), backend=sys.argv[1])
"""


@pytest.mark.parametrize("timeout_seconds", [[], ["300"]])
def test_an_interrupted_program(anyio_backend: str, timeout_seconds: list[str]) -> None:
    """Ctrl-C in a program that runs a block on either backend kills the workload, where cancelling would."""
    with PythonProgram(INTERRUPTED, anyio_backend, *timeout_seconds) as program:
        pid = int(program.stdout.readline())
        try:
            program.send_signal(signal.SIGINT)
            assert program.wait(WAIT_SECONDS) != 0
            assert not is_alive(pid)
        finally:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
