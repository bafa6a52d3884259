"""Cancelling, killing and time limits: the whole group ends, in time, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import (
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    Process,
    Reason,
    UnsupportedOperation,
    WorkloadStatus,
)
from infrablocks.testing._stalls import worst_stall
from tests.movable_time_limit import MovableTimeLimit
from tests.processes import WAIT_SECONDS, children, is_alive, open_files, read_numbers, record_is_written, wait_until
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

# A shell, a child and a grandchild in the background: three processes of one group, whose pids are told in a file.
FAMILY = "echo $$ > pids; sh -c 'echo $$ >> pids; sleep 300 & echo $! >> pids; wait' & wait"
STUBBORN = "trap '' TERM; " + FAMILY

SCRIPT = "from infrablocks import Process; Process(command=['sh', '-c', {family!r}], working_dir={folder!r}).run()"


# Grace periods of this length are waited for: a loop that is blocked by one of them stalls for so long.
GRACE_SECONDS = 1.0
BLOCKED = 0.5


async def pids_of(folder: Path) -> list[int]:
    """Wait until a family has told its pids."""
    return await anyio.to_thread.run_sync(read_numbers, folder / "pids", 3)


def records() -> list[str]:
    """Give the names of the run records."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "runs")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def gone(pids: list[int]) -> None:
    """Wait until processes have ended."""
    await anyio.to_thread.run_sync(wait_until, lambda: not any(map(is_alive, pids)))


async def test_cancelled_run_ends_the_whole_group(tmp_path: Path) -> None:
    """After a cancelled run has returned no process of its group is alive; it ends at SIGTERM, before the grace."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Process(command=["sh", "-c", FAMILY], working_dir=tmp_path, grace_seconds=300).run)
        pids = await pids_of(tmp_path)
        before = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - before < WAIT_SECONDS
    assert [pid for pid in pids if is_alive(pid)] == []
    assert (children(), records()) == (set(), [])


async def test_who_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    """Processes that ignore SIGTERM get SIGKILL when the grace period is over, neither before nor much later."""
    block = Process(command=["sh", "-c", STUBBORN], working_dir=tmp_path, grace_seconds=0.3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block.run)
        pids = await pids_of(tmp_path)
        before = time.monotonic()
        tasks.cancel_scope.cancel()
    # Without SIGKILL it takes 300 s.
    assert 0.3 <= time.monotonic() - before < WAIT_SECONDS
    assert [pid for pid in pids if is_alive(pid)] == []


@pytest.mark.alone("measures how long the event loop stalls")
@pytest.mark.parametrize("way", ["cancel", "kill"])
async def test_the_loop_goes_on_during_the_grace_period(tmp_path: Path, way: str) -> None:
    """Other tasks do not wait for a process that takes its time to end when its run is cancelled or it is killed."""
    block = Process(command=["sh", "-c", STUBBORN], working_dir=tmp_path, grace_seconds=GRACE_SECONDS)

    async def run_and_end() -> None:
        async with anyio.create_task_group() as tasks:
            pid = await tasks.start(block.run)
            await pids_of(tmp_path)
            if way == "kill":
                await block.kill(pid, grace_seconds=GRACE_SECONDS)
            else:
                tasks.cancel_scope.cancel()

    assert await worst_stall(run_and_end) < BLOCKED


@pytest.mark.parametrize("way", ["cancelled", "time limit"])
async def test_a_command_that_ends_at_sigterm_but_leaves_a_stubborn_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The grace period is the whole group's: a child that ignores SIGTERM is killed although the command has ended."""
    script = "echo $$ > pids; sh -c 'trap \"\" TERM; echo $$ >> pids; echo 0 >> pids; sleep 300; sleep 300' & wait"
    limit = MovableTimeLimit(monkeypatch)
    block = Process(
        command=["sh", "-c", script], working_dir=tmp_path, grace_seconds=0.3, timeout_seconds=limit.seconds
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block.run)
        pids = await pids_of(tmp_path)
        if way == "cancelled":
            tasks.cancel_scope.cancel()
        else:
            limit.pass_now()
    assert [pid for pid in pids[:2] if is_alive(pid)] == []


async def test_cancelled_before_and_while_it_is_created(tmp_path: Path) -> None:
    """Wherever a run is cancelled in its first moments, nothing appears after it has returned."""
    block = Process(command=["sh", "-c", "touch $$; exec sleep 300"], working_dir=tmp_path)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await block.run()
    assert list(tmp_path.iterdir()) == []
    before = open_files()
    for step in range(40):
        with anyio.move_on_after(step * 0.0002):
            await block.run()
        assert (children(), records()) == (set(), [])
        assert open_files() <= before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_cancels_at_every_step() -> None:
    """`Task.cancel` at every step of the loop in turn leaves neither process nor record nor file."""
    block = Process(command=["sleep", "300"])
    before = open_files()
    for steps in range(60):
        task = asyncio.ensure_future(block.run())
        for _ in range(steps):
            await asyncio.sleep(0)
        if steps % 2:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (children(), records()) == (set(), [])
    assert open_files() <= before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_cancellation_ends_the_grace_period(tmp_path: Path) -> None:
    """Who cancels twice (Ctrl-C twice) does not wait for the grace period."""
    told = tmp_path / "told"
    script = "trap 'echo 1 >> told' TERM; echo $$ > pids; while :; do sleep 1; done"
    task = asyncio.ensure_future(Process(command=["sh", "-c", script], working_dir=tmp_path, grace_seconds=300).run())
    (pid,) = await anyio.to_thread.run_sync(read_numbers, tmp_path / "pids", 1)
    task.cancel()
    await anyio.to_thread.run_sync(read_numbers, told, 1)
    assert is_alive(pid)
    task.cancel()
    before = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - before < WAIT_SECONDS
    assert not is_alive(pid)


async def test_left_running(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `on_cancel="leave"` the process goes on, a log line says how to end it, and it can be killed by its pid."""
    block = Process(command=["sh", "-c", FAMILY], working_dir=tmp_path, on_cancel="leave")
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(block.run)
        pids = await pids_of(tmp_path)
        tasks.cancel_scope.cancel()
    assert all(map(is_alive, pids))
    assert f"workload {pid} goes on. Watch it with attach('{pid}'), end it with kill('{pid}')." in caplog.text
    assert await block.status(pid) is WorkloadStatus.RUNNING
    await block.kill(pid)
    assert not any(map(is_alive, pids))
    # Its entry in the process table goes with the next process that is started.
    await Process(command=["true"]).run()
    assert pid not in children()


async def test_time_limit_of_a_silent_command() -> None:
    """A command that prints nothing is killed on time, with the reason DeadlineExceeded."""
    before = time.monotonic()
    result = await Process(command=["sleep", "300"], timeout_seconds=0.3).run()
    assert 0.3 <= time.monotonic() - before < WAIT_SECONDS
    assert (result.status_code, result.reason) == (-15, Reason.DEADLINE_EXCEEDED)
    assert result.message == "The run took longer than 0.3 seconds (timeout_seconds) and was killed."


async def test_a_time_limit_ends_the_whole_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the command has started ends with it."""
    limit = MovableTimeLimit(monkeypatch)
    block = Process(command=["sh", "-c", FAMILY], working_dir=tmp_path, timeout_seconds=limit.seconds)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block.run)
        pids = await pids_of(tmp_path)
        limit.pass_now()
    assert [pid for pid in pids if is_alive(pid)] == []


async def test_a_time_limit_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends well when it is told to end at its time limit has not succeeded."""
    limit = MovableTimeLimit(monkeypatch)
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    block = Process(command=["sh", "-c", script], timeout_seconds=limit.seconds)
    result = await block.run(output=lambda _stream, _line: limit.pass_now())
    assert (result.status_code, result.reason, bool(result)) == (-1, Reason.DEADLINE_EXCEEDED, False)


async def test_within_the_time_limit() -> None:
    """A command that ends in time is not touched by the limit."""
    result = await Process(command=["sh", "-c", "exit 3"], timeout_seconds=300).run()
    assert (result.status_code, result.reason) == (3, Reason.ERROR)


async def test_kill_a_run(tmp_path: Path) -> None:
    """`kill` by pid, int or text, alone or with the host, returns when the group is gone; twice is an error."""
    forms: list[tuple[Callable[[int], int | str], str, float]] = [
        (int, STUBBORN, 0.3),
        (str, FAMILY, WAIT_SECONDS),
        (lambda pid: f"{socket.gethostname()}:{pid}", STUBBORN, 0.1),
    ]
    for form, script, grace_seconds in forms:
        tmp_path.joinpath("pids").unlink(missing_ok=True)
        results: list[object] = []

        async def run(
            *, task_status: anyio.abc.TaskStatus[int], results: list[object] = results, script: str = script
        ) -> None:
            block = Process(command=["sh", "-c", script], working_dir=tmp_path)
            result = await block.run(task_status)
            results.append((result.status_code, result.reason))

        async with anyio.create_task_group() as tasks:
            pid = await tasks.start(run)
            pids = await pids_of(tmp_path)
            assert await Process().status(form(pid)) is WorkloadStatus.RUNNING
            await Process().kill(form(pid), grace_seconds=grace_seconds)
            assert not any(map(is_alive, pids))
        assert results == [(-9 if script == STUBBORN else -15, Reason.KILLED)]
        with pytest.raises(InfrastructureNotFound, match=f"has the process {pid}"):
            await Process().kill(form(pid))
        with pytest.raises(InfrastructureNotFound, match=f"has the process {pid}"):
            await Process().status(form(pid))


async def test_kill_from_another_process(tmp_path: Path) -> None:
    """A process whose agent was killed goes on; another process ends it by its pid, and the record goes with it."""
    code = SCRIPT.format(family=FAMILY, folder=str(tmp_path))
    with PythonProgram(code):
        pids = await pids_of(tmp_path)
        await anyio.to_thread.run_sync(wait_until, record_is_written)
    assert all(map(is_alive, pids))
    assert await Process().status(pids[0]) is WorkloadStatus.RUNNING
    await Process().kill(pids[0])
    assert not any(map(is_alive, pids))
    with pytest.raises(InfrastructureNotFound):
        await Process().status(pids[0])
    assert records() == []


async def test_a_reused_pid_is_not_killed() -> None:
    """A record does not name another process that has got its process's pid, in this boot or in a later one.

    No call takes that one for the run's: it is not killed, and nothing is told of it.
    """
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"]).run)
        folder = Path(os.environ["INFRABLOCKS_HOME"], "runs")
        (record,) = folder.iterdir()
        text = await anyio.Path(record).read_text()
        await anyio.to_thread.run_sync(wait_until, lambda: is_alive(pid))
        block = Process()
        for field, wrong in (("start_time", 1), ("boot_id", "another")):
            for call in (block.kill, block.status, block.attach, block.logs):
                await anyio.Path(record).write_text(json.dumps({**json.loads(text), field: wrong}))
                with pytest.raises(InfrastructureNotFound, match=f"has the process {pid}"):
                    await call(pid)
                assert is_alive(pid)
                assert records() == []
        await anyio.Path(record).write_text(text)
        await Process().kill(pid)
        assert not is_alive(pid)
        tasks.cancel_scope.cancel()


async def test_unknown_identifiers() -> None:
    """Processes that are not ours are not found, those of another host are out of reach, nonsense is told."""
    for identifier in (os.getpid(), 1, "2147483647"):
        with pytest.raises(InfrastructureNotFound, match=f"has the process {identifier}"):
            await Process().kill(identifier)
    with pytest.raises(InfrastructureNotAvailable, match="Process 5 runs on another-host, this is"):
        await Process().kill("another-host:5")
    for nonsense in ("", "x", "-5", "5 ", "a:b"):
        with pytest.raises(InfrastructureNotFound, match="is not the identifier of a process: `pid` or `host:pid`"):
            await Process().status(nonsense)


async def test_attach_says_what_it_needs() -> None:
    """Attaching to a process that was not detached is refused with a reason, to one that is not ours it fails."""
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"]).run)
        with pytest.raises(UnsupportedOperation, match=r"was not started with detached=True.*Run with Process\("):
            await Process().attach(pid)
        tasks.cancel_scope.cancel()
    with pytest.raises(InfrastructureNotFound, match="has the process 1 "):
        await Process().attach(1)


def test_records_are_private() -> None:
    """The folder of the run records is its owner's alone, and the record is there before the run is reported."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            pid = await tasks.start(Process(command=["sleep", "300"]).run)
            assert records() == [f"{socket.gethostname()}-{pid}.json"]
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert Path(os.environ["INFRABLOCKS_HOME"], "runs").stat().st_mode & 0o777 == 0o700


def test_ctrl_c_in_a_script(tmp_path: Path) -> None:
    """Ctrl-C in a plain script ends the group and raises KeyboardInterrupt."""
    code = SCRIPT.format(family=FAMILY, folder=str(tmp_path))
    with PythonProgram(code) as agent:
        pids = read_numbers(tmp_path / "pids", 3)
        agent.send_signal(signal.SIGINT)
        errors = agent.communicate()[1]
    assert agent.returncode == -signal.SIGINT
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert not any(map(is_alive, pids))
