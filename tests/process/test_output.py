"""What a process prints arrives whole, whatever it is, and never holds a run up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import Process
from infrablocks.process import _watch
from tests.processes import WAIT_SECONDS, Lines, is_alive, wait_until
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def program(code: str) -> list[str]:
    """Give the command that runs a piece of Python."""
    return [sys.executable, "-c", code]


async def test_streams_are_kept_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """Stdout goes to `sys.stdout`, stderr to `sys.stderr`, each in order, to the last byte."""
    command = program(
        "import sys\nfor i in range(2000): print('out', i); print('err', i, file=sys.stderr)\nprint('end', end='')"
    )
    assert await Process(command=command).run()
    captured = capfd.readouterr()
    assert captured.out == "".join(f"out {i}\n" for i in range(2000)) + "end"
    assert captured.err == "".join(f"err {i}\n" for i in range(2000))


async def test_any_bytes_arrive() -> None:
    """Blanks, empty lines, carriage returns and NUL arrive as they are; what is not UTF-8 becomes U+FFFD."""
    lines = Lines()
    code = r"import sys; sys.stdout.buffer.write(b'  a  \n\n\r\n\x00\xc3\xa9 \xff\xc3\n\xe2\x82')"
    assert await Process(command=program(code)).run(output=lines)
    assert [line for _, line in lines] == ["  a  \n", "\n", "\r\n", "\x00é \ufffd\ufffd\n", "\ufffd"]


async def test_one_byte_at_a_time() -> None:
    """Characters that come in pieces are put together."""
    lines = Lines()
    code = "import os\nfor byte in 'grün € 𝄞\\nzwei\\n'.encode(): os.write(1, bytes([byte]))"
    assert await Process(command=program(code)).run(output=lines)
    assert lines == [("stdout", "grün € 𝄞\n"), ("stdout", "zwei\n")]


async def test_a_hundred_megabytes_without_newline() -> None:
    """A line that never ends is passed on in pieces and does not fill the memory."""
    pieces: list[int] = []
    code = "import os\nfor _ in range(1600): os.write(1, b'x' * 65536)"
    assert await Process(command=program(code)).run(output=lambda _, line: pieces.append(len(line)))
    assert (sum(pieces), max(pieces)) == (1600 * 65536, 65536)


async def test_not_streamed() -> None:
    """Without `stream_output` nothing is read: the command prints into the null device."""
    lines = Lines()
    block = Process(command=["sh", "-c", "readlink /proc/$$/fd/1 /proc/$$/fd/2 > seen; cat seen"], stream_output=False)
    assert await block.run(output=lines)
    assert lines == []


async def test_a_daemon_does_not_hold_the_run_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process that the command leaves behind and that holds its output open keeps the run for less than 2 seconds."""
    lines = Lines()
    command = ["sh", "-c", "sleep 300 & echo $! > pid; echo out; echo err >&2; exit 5"]
    with anyio.fail_after(WAIT_SECONDS):
        result = await Process(command=command, working_dir=tmp_path).run(output=lines)
    assert _watch._DRAIN_SECONDS < 2
    assert (result.status_code, sorted(lines)) == (5, [("stderr", "err\n"), ("stdout", "out\n")])
    assert caplog.text.count("has left a process behind that holds its output open") == 1
    daemon = int(tmp_path.joinpath("pid").read_text())
    assert is_alive(daemon)
    os.kill(daemon, 9)


async def test_all_output_arrives_although_the_reader_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was printed by the end of the command arrives in full, also through a sink slower than the drain's limit."""
    monkeypatch.setattr(_watch, "_DRAIN_SECONDS", 0.05)
    release = threading.Event()
    lines = Lines()

    def slow(stream: str, line: str) -> None:
        if not lines:
            release.wait()
        lines(stream, line)

    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            assert await Process(command=program("for i in range(20000): print(i)")).run(task_status, output=slow)

        pid = await tasks.start(run)
        await anyio.to_thread.run_sync(wait_until, lambda: not is_alive(pid))
        await anyio.sleep(0.3)  # several times the limit
        assert lines == []
        release.set()
    assert lines.text() == "".join(f"{i}\n" for i in range(20000))


async def test_a_sink_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """A sink that fails ends the copying with one warning; the command is not held up and the result is its own."""

    def sink(_stream: str, _line: str) -> None:
        raise RuntimeError("sink is full")

    code = "for i in range(10000): print('x' * 1000)\nraise SystemExit(7)"
    result = await Process(command=program(code)).run(output=sink)
    assert result.status_code == 7
    assert caplog.text.count("cannot be written to") == 1
    assert "sink is full" in caplog.text


AGENT = """
import sys
from infrablocks import Process
result = Process(command={command!r}).run()
print("code", result.status_code, file=sys.stderr)
"""


def test_closed_stdout() -> None:
    """When nobody reads our stdout any more (`| head`), one warning is given and the run goes on to its end."""
    # More than all pipes and what waits to be written can hold.
    command = program("print(0)\nfor i in range(2000): print('x' * 500)\nraise SystemExit(3)")
    with PythonProgram(AGENT.format(command=command)) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait() == 0
    assert "code 3" in errors
    assert errors.count("cannot be written to") == 1


def test_ascii_stdout() -> None:
    """On a stdout that knows only ASCII other characters are written as escapes, with one warning."""
    done = subprocess.run(
        program(AGENT.format(command=["printf", r"\303\2441\n\303\2442\n"])),
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.stdout == "\\xe41\n\\xe42\n"
    assert done.stderr.count("has the encoding ascii") == 1
    assert "code 0" in done.stderr


def test_order_with_our_own_prints() -> None:
    """What the program itself printed before the run stands before the output of the command, and after it after."""
    code = "from infrablocks import Process\nprint('before')\nProcess(command=['echo', 'during']).run()\nprint('after')"
    with PythonProgram(code) as process:
        assert process.communicate() == (b"before\nduring\nafter\n", b"")
    assert process.returncode == 0


STALLED = """
import anyio, sys
from infrablocks import Process
from infrablocks.testing._stalls import worst_stall

async def run():
    with anyio.move_on_after(1):
        await Process(command=["sh", "-c", "yes & echo $! >&2; wait"]).run()

print(anyio.run(worst_stall, run), file=sys.stderr, flush=True)
"""


@pytest.mark.alone("measures how long the event loop stalls")
def test_stalled_stdout() -> None:
    """A stalled reader of our stdout stops neither the event loop nor a cancellation nor the interpreter's end."""
    reader, writer = os.pipe()
    with PythonProgram(STALLED, stdout=writer) as process:
        _, errors = process.communicate()
        assert process.returncode == 0
    os.close(writer)
    os.close(reader)
    pid, stall = errors.split()
    wait_until(lambda: not is_alive(int(pid)))
    assert float(stall) < 0.5
