"""Processes in programs that use asyncio in their own way: with tasks that begin at once, or their own children."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import Process, Reason
from tests.processes import WAIT_SECONDS, Lines, children, is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ORDINARY, EAGER = "ordinary", "eager"


@pytest.fixture(params=[ORDINARY, EAGER])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Give what runs a coroutine in a loop of asyncio, whose tasks begin as always or as soon as they are made."""
    if request.param == EAGER and sys.version_info < (3, 12):
        pytest.skip("asyncio has eager tasks since Python 3.12")

    async def with_time_limit(main: Coroutine[Any, Any, None]) -> None:
        if sys.version_info >= (3, 12) and request.param == EAGER:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.wait_for(main, WAIT_SECONDS)

    return lambda main: asyncio.run(with_time_limit(main))


def process(script: str, **fields: Any) -> Any:
    """Make a block; a type checker knows its runs as results, and here they are awaited."""
    return Process(command=["sh", "-c", script], **fields)


def test_how_tasks_begin(run: Any, request: pytest.FixtureRequest) -> None:
    """The loop of the tests below is what they say it is."""
    seen = []

    async def see() -> None:
        seen.append("task")

    async def main() -> None:
        task = asyncio.create_task(see())
        seen.append("program")
        await task

    run(main())
    assert seen == (["task", "program"] if request.node.callspec.params["run"] == EAGER else ["program", "task"])


def test_a_run(run: Any) -> None:
    """Output, status code and reason are the same, of one run that is awaited and of many that are tasks."""

    async def main() -> None:
        lines = Lines()
        result = await process("echo out; exit 3").run(output=lines)
        assert (result.status_code, result.reason, lines) == (3, Reason.ERROR, [("stdout", "out\n")])
        outputs = [Lines() for _ in range(10)]
        runs = [
            asyncio.create_task(process(f"echo {number}; exit {number}").run(output=output))
            for number, output in enumerate(outputs)
        ]
        assert [result.status_code for result in await asyncio.gather(*runs)] == list(range(10))
        assert [output.text() for output in outputs] == [f"{number}\n" for number in range(10)]

    run(main())
    assert children() == set()


def test_a_run_in_task_groups(run: Any) -> None:
    """A task group of anyio gets the identifier while the process runs, and one of asyncio waits for its end."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            pid = int(await tasks.start(process("sleep 300").run))
            assert is_alive(pid)
            tasks.cancel_scope.cancel()
        assert not is_alive(pid)
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(process(f"exit {code}").run()) for code in (0, 7)]
        assert [each.result().status_code for each in runs] == [0, 7]

    run(main())
    assert children() == set()


def test_cancellation(run: Any, tmp_path: Path) -> None:
    """A task that is cancelled at once, or while its process runs, leaves no process."""

    async def main() -> None:
        at_once = asyncio.create_task(process("sleep 300").run())
        at_once.cancel()
        running = asyncio.create_task(process("echo > begun; sleep 300", working_dir=tmp_path).run())
        await asyncio.to_thread(wait_until, (tmp_path / "begun").exists)
        running.cancel()
        assert [type(end) for end in await asyncio.gather(at_once, running, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        result = await process("sleep 300", timeout_seconds=0.2).run()
        assert result.reason == Reason.DEADLINE_EXCEEDED

    run(main())
    assert children() == set()


def test_detached_processes(run: Any) -> None:
    """What one run has left is found, read, watched and killed by other tasks of the same loop."""

    async def main() -> None:
        block = process("echo begun; sleep 300", detached=True)
        async with anyio.create_task_group() as tasks:
            identifier = str(await tasks.start(block.run))
            tasks.cancel_scope.cancel()
        lines = Lines()
        watching = asyncio.create_task(block.attach(identifier, output=lines))
        await asyncio.to_thread(wait_until, lambda: lines)
        await block.kill(identifier)
        assert (await watching).status_code == -15
        assert lines.text() == "begun\n"

    run(main())


def test_a_kept_loop(run: Any) -> None:
    """Worker threads of anyio come back to the loop that started them, one run after the other."""

    async def main() -> None:
        for code in (0, 5):
            result = await anyio.to_thread.run_sync(process(f"exit {code}").run)
            assert result.status_code == code

    run(main())


def test_child_processes_of_the_program(run: Any) -> None:
    """Each end reaches who has started the process, whether asyncio watches its own in a thread or by a descriptor."""

    async def own(code: int) -> int:
        child = await asyncio.create_subprocess_exec("sh", "-c", f"exit {code}")
        return await child.wait()

    async def ours(code: int) -> int:
        return int((await process(f"exit {code}").run()).status_code)

    async def main() -> None:
        codes = list(range(10))
        tasks = [asyncio.create_task(start(code)) for code in codes for start in (own, ours)]
        assert await asyncio.gather(*tasks) == [code for code in codes for _ in range(2)]

    run(main())
    assert children() == set()


@pytest.mark.anyio
async def test_child_processes_of_a_program_on_anyio() -> None:
    """The same on trio, which has no watchers of children."""
    ends: dict[str, int] = {}

    async def own(code: int) -> None:
        ends[f"own {code}"] = (await anyio.run_process(["sh", "-c", f"exit {code}"], check=False)).returncode

    async def ours(code: int) -> None:
        ends[f"ours {code}"] = (await process(f"exit {code}").run()).status_code

    async with anyio.create_task_group() as tasks:
        for code in range(5):
            tasks.start_soon(own, code)
            tasks.start_soon(ours, code)
    assert ends == {f"{who} {code}": code for code in range(5) for who in ("own", "ours")}
