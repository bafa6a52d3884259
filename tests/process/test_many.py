"""Many runs at once: none waits for another, none disturbs another, and the loop goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import anyio
import pytest

from infrablocks import Process
from tests.processes import Lines, children, open_files

pytestmark = pytest.mark.anyio


async def test_many_runs_at_once() -> None:
    """300 runs are all alive at the same time, each gets its own code and output, and anyio's own threads stay free."""
    started = 0
    all_started = anyio.Event()
    results: dict[int, tuple[int, str]] = {}
    before = open_files()

    async def run(number: int) -> None:
        lines = Lines()

        class Started:
            def started(self, _pid: object = None) -> None:
                nonlocal started
                started += 1
                if started == 300:
                    all_started.set()

        result = await Process(command=["sh", "-c", f"echo {number}; exec sleep 3; exit 1"]).run(
            Started(), output=lines
        )
        results[number] = (result.status_code, lines.text())

    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(run, number)
        await all_started.wait()
        assert len(children()) == 300
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
    assert results == {number: (0, f"{number}\n") for number in range(300)}
    assert open_files() <= before + 2  # trio keeps a file of its own for its threads
    assert children() == set()


async def test_three_hundred_cancelled_at_once() -> None:
    """300 runs that are cancelled together are all gone together, and the loop ticks meanwhile."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await anyio.sleep(0.01)
            worst = max(worst, time.monotonic() - before - 0.01)

    async with anyio.create_task_group() as ticker:
        ticker.start_soon(tick)
        async with anyio.create_task_group() as tasks:
            for _ in range(300):
                await tasks.start(Process(command=["sleep", "300"]).run)
            before = time.monotonic()
            tasks.cancel_scope.cancel()
        took = time.monotonic() - before
        ticker.cancel_scope.cancel()
    assert children() == set()
    # One after the other they would take 300 grace periods; a loop that does the work itself would stand still for it.
    assert took < 20
    assert worst < 2


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
