"""Many runs at once: none waits for another, none disturbs another, and the loop goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import Process
from infrablocks.testing._stalls import worst_stall
from tests.processes import WAIT_SECONDS, Lines, children, open_files, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_many_runs_at_once(tmp_path: Path, anyio_backend: str) -> None:
    """300 runs (100 with Trio) are all alive at once, each gets its own result, and anyio's own threads stay free."""
    count = 300 if anyio_backend == "asyncio" else 100
    started = 0
    all_started = anyio.Event()
    results: dict[int, tuple[int, str]] = {}
    printed = [Lines() for _ in range(count)]
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    before = open_files()
    closed = os.open(gate, os.O_RDWR)  # as long as somebody could write to it, whoever has opened it waits

    async def run(number: int) -> None:
        class Started:
            def started(self, _pid: object = None) -> None:
                nonlocal started
                started += 1
                if started == count:
                    all_started.set()

        command = ["sh", "-c", f"exec <{gate}; echo {number}; exec cat"]
        result = await Process(command=command).run(Started(), output=printed[number])
        results[number] = (result.status_code, printed[number].text())

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(run, number)
        await all_started.wait()
        assert len(children()) == count
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        await anyio.to_thread.run_sync(wait_until, lambda: all(printed))
        os.close(closed)
    assert results == {number: (0, f"{number}\n") for number in range(count)}
    assert open_files() <= before + 2  # trio keeps a file of its own for its threads
    assert children() == set()


@pytest.mark.alone("measures how long the event loop stalls")
async def test_many_cancelled_at_once(tmp_path: Path, anyio_backend: str) -> None:
    """200 runs that are cancelled together are all gone together, and the loop ticks meanwhile; 50 with Trio."""
    count = 200 if anyio_backend == "asyncio" else 50
    os.mkfifo(tmp_path / "gate")
    # Who has been told to end waits for all others: one after the other they would not end.
    told = "trap 'exec 3<gate; : >told-$$; read _ <&3; exit' TERM"
    command = ["sh", "-c", f"{told}; : >ready-$$; while :; do sleep 5; done"]
    block = Process(command=command, working_dir=tmp_path, grace_seconds=WAIT_SECONDS)

    async def cancel_many() -> None:
        closed = os.open(tmp_path / "gate", os.O_RDWR)
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                await tasks.start(block.run)
            await anyio.to_thread.run_sync(wait_until, lambda: len([*tmp_path.glob("ready-*")]) == count)
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(wait_until, lambda: len([*tmp_path.glob("told-*")]) == count)
            os.close(closed)

    # A loop that does the work itself would stand still.
    assert await worst_stall(cancel_many) < 2
    assert children() == set()


def test_first_uses_at_once() -> None:
    """60 threads that use the library for the first time at the same moment all succeed."""
    code = """
import threading
start = threading.Barrier(60)
results = []
def use():
    start.wait()
    import infrablocks
    results.append(infrablocks.Process(command=["true"]).run().status_code)
threads = [threading.Thread(target=use) for _ in range(60)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results == [0] * 60)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_runs_of_several_threads_share_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    """Runs of 8 threads, each with a loop of its own, print 3,000 lines each; every line arrives whole and in order."""
    command = [sys.executable, "-c", "import sys\nfor i in range(3000): print(sys.argv[1], i, 'x' * 50)"]
    threads = [threading.Thread(target=Process(command=[*command, str(number)]).run) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capfd.readouterr().out.splitlines()
    expected = {str(number): [f"{number} {i} {'x' * 50}" for i in range(3000)] for number in range(8)}
    assert {number: [line for line in lines if line.startswith(f"{number} ")] for number in expected} == expected
    assert len(lines) == 8 * 3000
