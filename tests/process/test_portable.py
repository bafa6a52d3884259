"""The way that processes are watched on systems other than Linux, driven here by the life cycle that all share."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import Process, Reason, UnsupportedOperation
from infrablocks.process import _portable
from infrablocks.process._portable import PortableProcess
from tests.movable_time_limit import MovableTimeLimit
from tests.processes import WAIT_SECONDS, Lines, children, open_files, wait_until

if TYPE_CHECKING:
    from infrablocks import Workload
    from infrablocks.process._settings import ProcessSettings

pytestmark = pytest.mark.anyio


class PortableBlock(Process):
    """Runs its command the way that other systems do."""

    def _create(self, settings: ProcessSettings) -> Workload:
        return PortableProcess(settings, self.name)


async def test_result_and_output() -> None:
    """Output, codes and messages are the same as on Linux, and nothing is left."""
    lines = Lines()
    block = PortableBlock(command=["sh", "-c", "echo out; echo err >&2; printf rest; exit 3"], name="etl")
    before = open_files()
    for _ in range(20):
        lines.clear()
        result = await block.run(output=lines)
        assert (result.status_code, result.message) == (3, "Process 'etl' exited with status code 3.")
        assert (lines.text("stdout"), lines.text("stderr")) == ("out\nrest", "err\n")
    await anyio.to_thread.run_sync(wait_until, lambda: open_files() <= before + 2)
    assert children() == set()


async def test_cancelling_and_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling and time limits end the group, after the grace period with SIGKILL."""
    limit = MovableTimeLimit(monkeypatch)
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; sleep 300 & wait; wait"]
    block = PortableBlock(command=stubborn, timeout_seconds=limit.seconds, grace_seconds=0.2)
    result = await block.run(output=lambda _stream, _line: limit.pass_now())
    assert (result.status_code, result.reason) == (-9, Reason.DEADLINE_EXCEEDED)
    async with anyio.create_task_group() as tasks:
        await tasks.start(PortableBlock(command=["sleep", "300"], grace_seconds=300).run)
        before = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - before < WAIT_SECONDS
    assert children() == set()


async def test_a_daemon_does_not_hold_the_run_up() -> None:
    """A process that is left behind with the output open keeps the run for less than 2 seconds."""
    lines = Lines()
    with anyio.fail_after(WAIT_SECONDS):
        assert await PortableBlock(command=["sh", "-c", "sleep 300 & echo $!"]).run(output=lines)
    assert _portable._DRAIN_SECONDS < 2
    os.kill(int(lines.text()), signal.SIGKILL)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
async def test_other_systems_have_no_run_records(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems a process is not found by its pid, and the error says so."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.platform", platform)
        with pytest.raises(UnsupportedOperation, match=f"on Linux only, not on {platform}"):
            Process()._find("1")
