"""Driving a run from a check: its lines, its identifier, its result."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from infrablocks._output import OutputCursor
from infrablocks._threads import ThreadsafeEvent
from infrablocks.base import WorkloadStatus
from infrablocks.exceptions import InfrastructureNotFound
from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from infrablocks.base import Infrastructure, InfrastructureResult
    from infrablocks.testing._kit import Kit, RunningWorkloads

OBEDIENT = "trap 'exit 7' TERM; echo running; while :; do sleep 0.1; done"
"""Prints a line and goes on until it is told to end; then its exit code is 7."""

STUBBORN = "trap '' TERM; echo running; while :; do sleep 0.1; done"
"""Prints a line and ends at SIGKILL only."""

KILLED_CODES = frozenset({-9, 137})
"""What a workload that SIGKILL has ended has for a status code: a process, and a container."""

_LIVE = frozenset({WorkloadStatus.PENDING, WorkloadStatus.RUNNING})


class Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[tuple[str, str]] = []

    def __call__(self, stream: str, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._lines.append((stream, line))

    def of(self, stream: str) -> list[str]:
        """Give the lines of one stream."""
        with self._lock:
            return [line for name, line in self._lines if name == stream]

    def text(self, stream: str = "stdout") -> str:
        """Give all that came on one stream."""
        return "".join(self.of(stream))


class Running:
    """A run in a task of its own: `identifier = await tasks.start(Running(kit, block))`.

    Args:
        kit: The test class.
        block: What is run.
        remember_at: The line after which the cursor is kept.

    Attributes:
        remembered: The cursor that was kept.
        lines: What it has printed.
        result: Its result, once it has ended.
        reported: What `task_status.started` was given, each time it was called.
    """

    def __init__(self, kit: Kit, block: Infrastructure, remember_at: str | None = None) -> None:
        self._kit = kit
        self._block = block
        self._remember_at = remember_at
        self._cursor = OutputCursor()
        self._printed = ThreadsafeEvent()
        self._ended = anyio.Event()
        self.remembered = ""
        self.lines = Lines()
        self.result: InfrastructureResult | None = None
        self.reported: list[object] = []

    async def __call__(self, *, task_status: TaskStatus[Any]) -> None:
        """Run the block to its end."""
        report = _Report(self.reported, task_status)
        try:
            cursor: dict[str, Any] = {} if self._remember_at is None else {"cursor": self._cursor}
            self.result = await self._block.run(report, **output_to(self._kit, self._take), **cursor)
        finally:
            self._ended.set()

    def _take(self, stream: str, line: str) -> None:
        self.lines(stream, line)
        if line == self._remember_at:
            self.remembered = str(self._cursor)
        if self._remember_at is None or line == "running\n":
            self._printed.set()

    @property
    def has_ended(self) -> bool:
        """Whether `run` has returned or raised."""
        return self._ended.is_set()

    async def first_line(self) -> None:
        """Wait until the workload has printed something, so that it surely runs."""
        if not self._kit.has(Capability.OUTPUT):
            return
        with anyio.move_on_after(self._kit.seconds_per_check / 2):
            await self._printed.wait()
        expect(self._printed.is_set(), "No line has come, although the workload prints one and then goes on.")

    async def end(self) -> InfrastructureResult:
        """Wait for the result."""
        await self._ended.wait()
        expect(self.result is not None, "`run` has returned None.")
        return self.result  # type: ignore[return-value] # the line above says so


class _Report:
    """anyio's task status, with a memory."""

    def __init__(self, reported: list[object], task_status: TaskStatus[Any]) -> None:
        self._reported = reported
        self._task_status = task_status

    def started(self, value: Any = None) -> None:
        self._reported.append(value)
        if len(self._reported) == 1:
            self._task_status.started(value)


def output_to(kit: Kit, sink: Callable[[str, str], None]) -> dict[str, Any]:
    """Give the argument that sends the output to a sink, where the back end takes one."""
    return {"output": sink} if kit.has(Capability.OUTPUT) else {}


async def run_to_the_end(kit: Kit, block: Infrastructure) -> tuple[InfrastructureResult, Lines]:
    """Run a block and give its result and what it has printed."""
    lines = Lines()
    result = await block.run(**output_to(kit, lines))
    return result, lines


async def is_live(block: Infrastructure, identifier: str | int) -> bool:
    """Say whether a workload has yet to end, by its `status`."""
    try:
        return await block.status(identifier) in _LIVE
    except InfrastructureNotFound:
        return False


async def expect_gone(block: Infrastructure, identifier: str | int, running: RunningWorkloads | None) -> None:
    """Go on if a workload has ended, by its `status` and by what its engine says."""
    expect(not await is_live(block, identifier), f"Workload {identifier} has not ended, by its `status`.")
    if running is not None:
        left = await to_thread.run_sync(running)
        expect(str(identifier) not in left, f"Workload {identifier} runs, by its engine.")
