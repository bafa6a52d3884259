"""The output of runs: one writer per sink, whole lines, and nobody who waits for a slow reader but the workload."""

from __future__ import annotations

import contextlib
import io
import os
import select
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._output import Output
from infrablocks._output.writer import MAX_PENDING_BYTES
from tests.processes import WAIT_SECONDS, Lines, wait_until
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

LINES = 3000


def writer_threads() -> list[threading.Thread]:
    """Give the threads that write output."""
    return [thread for thread in threading.enumerate() if thread.name == "infrablocks-output"]


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    wait_until(lambda: not writer_threads())  # those of earlier tests
    yield
    wait_until(lambda: not writer_threads())


def line_of(number: int) -> bytes:
    """Make a line that shows whether it is whole."""
    return b"%d " % number + b"abcdefghij" * (number % 30) + b"\n"


EVERY_LINE = Counter({line_of(number).decode(): 8 for number in range(LINES)})


def write_from_loop(backend: str) -> None:
    """Write all lines in a loop of this thread, in chunks that cut lines."""

    async def write() -> None:
        output = Output()
        data = b"".join(map(line_of, range(LINES)))
        for start in range(0, len(data), 1000):
            await output.write("stdout", data[start : start + 1000])
        await output.finish()
        output.close()

    anyio.run(write, backend=backend)


def write_from_thread(backend: str) -> None:
    """Write all lines from a thread, as a back end does that reads with an SDK."""
    output = Output()
    for number in range(LINES):
        output.write_from_thread("stdout", line_of(number))
    anyio.run(output.finish, backend=backend)
    output.close()


@pytest.mark.parametrize("write", [write_from_loop, write_from_thread])
@pytest.mark.parametrize("capture", ["capfd", "capsys"])
def test_many_threads_on_one_stream(
    write: object, capture: str, anyio_backend: str, request: pytest.FixtureRequest
) -> None:
    """Eight threads with 3,000 lines each: every line comes out whole, eight times."""
    assert callable(write)
    captured: pytest.CaptureFixture[str] = request.getfixturevalue(capture)
    threads = [threading.Thread(target=write, args=[anyio_backend]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(captured.readouterr().out.splitlines(keepends=True)) == EVERY_LINE


async def test_runs_that_share_a_sink_share_a_thread() -> None:
    """One thread per sink writes, from the first line on until the last run has ended."""
    lines = Lines()
    first, second = Output(lines), Output(lines)
    assert writer_threads() == []
    await first.write("stdout", b"1\n")
    await second.write("stderr", b"2\n")
    assert len(writer_threads()) == 1
    await first.finish()
    first.close()
    first.close()
    await second.write("stderr", b"3\n")
    assert len(writer_threads()) == 1
    await second.finish()
    second.close()
    assert lines == [("stdout", "1\n"), ("stderr", "2\n"), ("stderr", "3\n")]


async def test_a_run_that_prints_nothing_needs_no_thread() -> None:
    """Where nothing is printed no thread is started, nor by an unfinished line."""
    lines = Lines()
    output = Output(lines)
    await output.write("stdout", b"unfinished")
    assert writer_threads() == []
    output.close()
    await output.write("stdout", b"after the end\n")
    output.write_from_thread("stderr", b"after the end\n")
    await output.finish()
    assert lines == []


async def test_a_slow_sink_holds_the_workload_back() -> None:
    """Pending bytes stay below the limit and one chunk."""
    may_write = threading.Event()
    given = 0
    output = Output(lambda _stream, _line: may_write.wait(WAIT_SECONDS))

    async def write() -> None:
        nonlocal given
        while True:
            given += 10_000
            await output.write("stdout", b"x" * 9_999 + b"\n")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await anyio.to_thread.run_sync(wait_until, lambda: given > MAX_PENDING_BYTES)
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()
    assert given <= MAX_PENDING_BYTES + 20_000
    may_write.set()
    output.close()


async def test_closing_ends_the_wait_of_a_thread() -> None:
    """A thread that waits for a reader goes on when the run ends."""
    may_write = threading.Event()
    output = Output(lambda _stream, _line: may_write.wait(WAIT_SECONDS))
    thread = threading.Thread(target=output.write_from_thread, args=["stdout", b"x\n" * MAX_PENDING_BYTES])
    thread.start()
    await anyio.to_thread.run_sync(lambda: wait_until(writer_threads))
    output.close()
    await anyio.to_thread.run_sync(lambda: thread.join(WAIT_SECONDS))
    assert not thread.is_alive()
    may_write.set()


@pytest.mark.parametrize("end", ["drop", "cancel"])
async def test_finish_can_be_ended(end: str) -> None:
    """A finish that waits for a reader ends when the rest is dropped, or when it is cancelled."""
    may_write = threading.Event()
    output = Output(lambda _stream, _line: may_write.wait(WAIT_SECONDS))
    await output.write("stdout", b"x\n")
    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(output.finish)
            await anyio.wait_all_tasks_blocked()
            if end == "drop":
                output.drop()
            else:
                tasks.cancel_scope.cancel()
    may_write.set()
    output.close()


def test_closing_while_threads_write() -> None:
    """Closing at any moment disturbs no thread that writes, and leaves no writer behind."""
    errors: list[BaseException] = []
    for _ in range(200):
        output = Output(Lines())
        ready = threading.Barrier(2)

        def write(output: Output = output, ready: threading.Barrier = ready) -> None:
            ready.wait()
            try:
                for _ in range(20):
                    output.write_from_thread("stdout", b"x\n")
            except BaseException as error:  # noqa: BLE001 (shown by the test)
                errors.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        ready.wait()
        output.close()
        thread.join(WAIT_SECONDS)
    assert errors == []


async def test_lines_stay_whole_after_a_run_that_was_stuck() -> None:
    """A run that follows one which was cancelled with a full pipe does not write into its half-written line."""
    reader, writer = os.pipe()
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writer, "w")), encoding="utf-8")
    with contextlib.redirect_stdout(stream):
        stuck, later = Output(), Output()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stuck.write, "stdout", (b"a" * 99 + b"\n") * 10_000)
        await anyio.to_thread.run_sync(wait_until, lambda: not select.select([], [writer], [], 0)[1])
        tasks.cancel_scope.cancel()
    stuck.close()
    await later.write("stdout", (b"b" * 99 + b"\n") * 2_000)
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(reader, 5000):
            received.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    with anyio.fail_after(WAIT_SECONDS):
        await later.finish()
    later.close()
    await anyio.to_thread.run_sync(lambda: wait_until(lambda: not writer_threads()))
    stream.close()
    await anyio.to_thread.run_sync(thread.join)
    os.close(reader)
    lines = b"".join(received).splitlines()
    assert set(lines) <= {b"a" * 99, b"b" * 99}
    assert lines.count(b"b" * 99) == 2_000


STALLED = """
import sys, anyio
from infrablocks._output import Output
from infrablocks._output.writer import MAX_PENDING_BYTES
from infrablocks.testing._stalls import worst_stall

async def main():
    given = 0

    async def write():
        nonlocal given
        while True:
            given += 1000
            await output.write("stdout", b"x" * 999 + b"\\n")

    output = Output()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        while given <= MAX_PENDING_BYTES:
            await anyio.sleep(0.01)
        await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()
    output.close()

print(anyio.run(worst_stall, main, backend=sys.argv[1]), file=sys.stderr, flush=True)
"""


@pytest.mark.alone("measures how long the event loop stalls")
def test_a_reader_that_has_stalled(anyio_backend: str) -> None:
    """With a full pipe on stdout the loop goes on, cancelling works, and the interpreter ends."""
    reader, writer = os.pipe()
    with PythonProgram(STALLED, anyio_backend, stdout=writer) as process:
        _, errors = process.communicate()
        assert process.returncode == 0
    os.close(writer)
    os.close(reader)
    assert float(errors) < 0.25


SLOW_READER = """
import sys, anyio
from infrablocks._output import Output

async def main():
    print("p" * 6000)
    output = Output()
    with anyio.move_on_after(0.3):
        await output.write("stdout", b"x" * 99_999 + b"\\n")
        await output.finish()
    output.close()

anyio.run(main)
print("ending", file=sys.stderr, flush=True)
"""


def test_a_slow_reader_gets_what_the_program_itself_printed() -> None:
    """An interpreter that ends while a thread of ours holds its stdout waits for the reader as any other does."""
    with PythonProgram(SLOW_READER, stdout_bytes=4096) as process:
        assert process.stderr.readline() == b"ending\n"
        time.sleep(0.2)
        printed, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert printed.startswith(b"p" * 6000 + b"\n")


NO_THREADS = """
import logging, threading, anyio
from infrablocks._output import Output
logging.basicConfig()

async def main():
    threading.stack_size(1 << 46)  # no system has so much memory: every start of a thread fails
    output = Output()
    await output.write("stdout", b"x\\n")
    await output.write("stdout", b"x\\n")
    await output.finish()
    output.close()

anyio.run(main)
"""


def test_no_thread_can_be_started() -> None:
    """Then the output is lost, with one warning, and the run goes on."""
    with PythonProgram(NO_THREADS) as program:
        printed, errors = program.communicate()
    assert (program.returncode, printed) == (0, b"")
    assert errors.count(b"\n") == 1
    assert b"can't start new thread" in errors


FORKED = """
import os, sys, anyio
from infrablocks._output import Output

async def main(text, ending):
    output = Output()
    await output.write("stdout", text)
    await output.finish()
    ending()
    output.close()

def fork():
    child = os.fork()
    if child == 0:
        try:
            # In a thread, which has no loop of the parent's.
            import threading
            thread = threading.Thread(target=anyio.run, args=(main, b"child\\n", lambda: None))
            thread.start(); thread.join(100)
            os._exit(thread.is_alive())
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

anyio.run(main, b"parent\\n", fork)
"""


def test_a_fork_while_a_writer_is_there() -> None:
    """A child that is forked from a program with a writer has writers of its own."""
    with PythonProgram(FORKED) as program:
        printed, errors = program.communicate()
    assert (program.returncode, printed) == (0, b"parent\nchild\n"), errors
