"""A run of a process that is cancelled at any of its checkpoints: nothing unreported is left, nothing half-made."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest

from infrablocks import Process
from tests.cancellation.checkpoints import Held, Reported, cancelled_at
from tests.processes import children, wait_until
from tests.reap.agents import watches

if TYPE_CHECKING:
    from tests.cancellation.checkpoints import Way

pytestmark = pytest.mark.anyio

MARK = "INFRABLOCKS_TEST_MARK"
# Ends by itself soon, so that a run also comes to the checkpoints behind its end; and its pipes may be closed.
COMMAND = ["sh", "-c", "trap '' PIPE; echo running; touch started; sleep 0.1; touch ended"]
BATCH = 8


def marked(mark: str) -> set[int]:
    """Give the pids of all processes that have a mark in their environment."""
    wanted, found = f"{MARK}={mark}".encode(), set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if wanted in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.add(int(name))
        except OSError:
            continue
    return found


class Attempt:
    """One run that is cancelled at one checkpoint.

    Args:
        folder: Where its process runs.
        number: The checkpoint.
        fields: Of the block.
    """

    def __init__(self, folder: Path, number: int, **fields: Any) -> None:
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.number = number
        self.mark = uuid.uuid4().hex
        self.reported = Reported()
        self.alive: set[int] = set()
        self.has_reached = False
        self._block = Process(
            command=COMMAND, working_dir=self.folder, env={MARK: self.mark}, grace_seconds=0, **fields
        )

    async def run(self, way: Way) -> None:
        """Run and cancel it, and look what is there when that has returned."""
        self.has_reached = await cancelled_at(
            self.number, lambda: self._block.run(self.reported, output=lambda _stream, _line: None), way
        )
        self.alive = await anyio.to_thread.run_sync(marked, self.mark)


async def all_attempts(folder: Path, way: Way, **fields: Any) -> list[Attempt]:
    """Cancel a run at its first, second, third … checkpoint until it ends before it comes there."""
    attempts: list[Attempt] = []
    while all(attempt.has_reached for attempt in attempts):
        batch = [Attempt(folder, len(attempts) + number, **fields) for number in range(1, BATCH + 1)]
        async with anyio.create_task_group() as tasks:
            for attempt in batch:
                tasks.start_soon(attempt.run, way)
        attempts += batch
    return attempts


@pytest.fixture(params=["scope", "task"])
def way(request: pytest.FixtureRequest, anyio_backend: str) -> Way:
    """Both ways to cancel, where the loop has them."""
    if request.param == "task" and anyio_backend != "asyncio":
        pytest.skip("only asyncio cancels a task without a scope")
    return "task" if request.param == "task" else "scope"


def runs() -> list[str]:
    """Give the names of all run records and folders."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "runs")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("on_cancel", ["kill", "leave"])
@pytest.mark.parametrize("detached", [False, True], ids=["plain", "detached"])
async def test_cancelled_at_each_checkpoint(
    tmp_path: Path, way: Way, detached: bool, on_cancel: Literal["kill", "leave"]
) -> None:
    """Whichever checkpoint it is: what was not reported is gone, what was is killed or goes on, as was told."""
    await Process(command=["true"]).run(output=lambda _stream, _line: None)
    held, own_children = Held(), children()
    attempts = await all_attempts(tmp_path, way, detached=detached, on_cancel=on_cancel)
    reached = [attempt for attempt in attempts if attempt.has_reached]
    reported = {attempt.number for attempt in attempts if attempt.reported.identifier is not None}
    assert {len(attempts)} <= reported
    assert 3 < len(reached) < len(attempts)
    killed = attempts if on_cancel == "kill" else [attempt for attempt in attempts if attempt.number not in reported]
    assert [(attempt.number, attempt.alive) for attempt in killed if attempt.alive] == []
    if on_cancel == "leave":
        for attempt in attempts:
            if attempt.number in reported:
                await anyio.to_thread.run_sync(wait_until, (attempt.folder / "ended").exists)
    for attempt in attempts:
        await anyio.to_thread.run_sync(wait_until, lambda attempt=attempt: not marked(attempt.mark))
    await anyio.to_thread.run_sync(held.wait_until_let_go)
    assert watches() == []
    if not detached and on_cancel == "kill":
        assert (runs(), children()) == ([], own_children)
    if detached:
        known = {f"{os.uname().nodename}-{attempt.reported.identifier}" for attempt in attempts}
        assert [name for name in runs() if name not in known] == []
