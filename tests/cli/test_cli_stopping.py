"""Ctrl-C and its like: the workload is stopped, with all that it has started, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS, is_alive, wait_until
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine

# Print the pids of the command and of its child, then wait.
TREE = ("--", "sh", "-c", 'sleep 1000 & echo "$$ $!"; wait')
STUBBORN_TREE = ("--", "sh", "-c", 'trap "" TERM; sleep 1000 & echo "$$ $!"; wait')
# From SIGUSR1 on, this looks at every call of a function at who would get a SIGINT.
_TELLS_UNGUARDED_MOMENTS = """
import os, signal, sys
from infrablocks.cli import main

def look(frame, *_):
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        os.write(1, f"unguarded in {frame.f_code.co_qualname}\\n".encode())

def begin(*_):
    os.write(1, b"looking\\n")
    sys.setprofile(look)

signal.signal(signal.SIGUSR1, begin)
code = main()
sys.setprofile(None)
sys.exit(code)
"""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]


def pids_in(process: subprocess.Popen[bytes] | PythonProgram) -> list[int]:
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 2
    return pids


def is_asleep(pid: int) -> bool:
    """Say whether a process waits for something; `yes` only ever waits for room in its pipe."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def assert_nothing_left(infrablocks: CommandLine, pids: list[int]) -> None:
    assert not [pid for pid in pids if is_alive(pid)]
    assert infrablocks.records() == []
    assert os.listdir(infrablocks.temporary) == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_signal_stops_the_whole_tree(infrablocks: CommandLine, number: signal.Signals, code: int) -> None:
    """A signal to the command line ends the command and what it has started; the exit code names the signal."""
    process = infrablocks.start("run", *TREE)
    pids = pids_in(process)
    process.send_signal(number)
    assert process.wait(WAIT_SECONDS) == code
    assert_nothing_left(infrablocks, pids)
    told = process.stderr.read().decode()
    assert told.startswith(f"Warning: {number.name}: stopping the command")
    assert told.count("\n") == 1


def test_time_to_end_is_given_and_kept(infrablocks: CommandLine) -> None:
    """A command that ignores SIGTERM is killed after the grace period, and not before."""
    process = infrablocks.start("run", "--grace-seconds", "0.5", *STUBBORN_TREE)
    pids = pids_in(process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert 0.5 <= time.monotonic() - began < 20  # without the option it is 30 s
    assert_nothing_left(infrablocks, pids)


def test_command_may_clean_up(infrablocks: CommandLine) -> None:
    """A command that ends by itself on SIGTERM is given the time to do so."""
    script = 'trap "echo bye >bye; exit" TERM; echo ready; while :; do sleep 0.01; done'
    process = infrablocks.start("run", "--set", "working_dir=.", "--", "sh", "-c", script)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert (infrablocks.folder / "bye").read_text() == "bye\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_ends_it_at_once(infrablocks: CommandLine, number: signal.Signals) -> None:
    """A second signal cuts the grace period short; the exit code is still that of the first."""
    process = infrablocks.start("run", "--grace-seconds", "600", *STUBBORN_TREE)
    pids = pids_in(process)
    process.send_signal(signal.SIGINT)
    assert b"a second signal" in process.stderr.readline()
    assert all(is_alive(pid) for pid in pids)
    process.send_signal(number)
    assert process.wait(WAIT_SECONDS) == 130
    assert_nothing_left(infrablocks, pids)
    assert process.stderr.read() == b""


def test_many_signals(infrablocks: CommandLine) -> None:
    """However long somebody holds Ctrl-C down, everything is ended in order and without complaints."""
    process = infrablocks.start("run", "--grace-seconds", "600", *STUBBORN_TREE)
    pids = pids_in(process)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
    assert process.returncode == 130
    assert process.stderr.read().count(b"\n") == 1
    assert_nothing_left(infrablocks, pids)


def test_no_signal_is_left_to_python(infrablocks: CommandLine) -> None:
    """From the first signal to the end there is no moment in which another would interrupt Python itself."""
    process = infrablocks.start("run", "--grace-seconds", "600", *STUBBORN_TREE, program=_TELLS_UNGUARDED_MOMENTS)
    pids = pids_in(process)
    process.send_signal(signal.SIGINT)
    assert b"a second signal" in process.stderr.readline()
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == b"looking\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == (b"", b"")
    assert process.returncode == 130
    assert_nothing_left(infrablocks, pids)


def test_ctrl_c_in_a_terminal(infrablocks: CommandLine) -> None:
    """Ctrl-C in a terminal reaches the command line only, which ends the command; the terminal shows no traceback."""
    process, person = infrablocks.start_in_terminal("run", *TREE)
    with os.fdopen(person, "r+b", buffering=0) as terminal:
        pids = [int(word) for word in terminal.readline().split()]
        assert os.getsid(pids[0]) != os.getsid(process.pid)
        terminal.write(b"\x03")
        assert process.wait(WAIT_SECONDS) == 130
        assert_nothing_left(infrablocks, pids)
        assert b"Traceback" not in os.read(person, 65536)


def test_closed_terminal(infrablocks: CommandLine) -> None:
    """When the terminal window is closed, the command is ended."""
    process, person = infrablocks.start_in_terminal("run", *TREE)
    with os.fdopen(person, "rb", buffering=0) as terminal:
        pids = [int(word) for word in terminal.readline().split()]
    assert process.wait(WAIT_SECONDS) == 129
    assert_nothing_left(infrablocks, pids)


def test_ignored_signal_stays_ignored(infrablocks: CommandLine) -> None:
    """Under `nohup` a hang-up does not end anything."""
    words = ["nohup", *infrablocks.words("run", "--", "sh", "-c", 'echo "$$ 0"; sleep 1000')]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=infrablocks.environment(),
    )
    with process:
        pid, _ = pids_in(process)
        process.send_signal(signal.SIGHUP)
        # Both signals are pending when they are looked at: had the first one counted, it would give the exit code.
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 143
    assert not is_alive(pid)


def test_on_cancel_leave_is_respected(infrablocks: CommandLine) -> None:
    """A block that says so itself leaves its workload running, and the warning tells how to end it."""
    process = infrablocks.start("run", "--set", "on_cancel=leave", *TREE)
    pids = pids_in(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert all(is_alive(pid) for pid in pids)
    assert f"{pids[0]}" in process.stderr.read().decode()
    assert infrablocks("status", str(pids[0])).stdout == "Running\n"
    assert infrablocks("kill", str(pids[0])).returncode == 0
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_closed_pipe_ends_the_run(infrablocks: CommandLine, stream: str) -> None:
    """`infrablocks run -- yes | head -1` ends, without a word."""
    process = infrablocks.start("run", "--", "sh", "-c", f"yes {stream}", stderr=subprocess.STDOUT)
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(WAIT_SECONDS) == 141
    assert infrablocks.records() == []


def test_closed_pipe_is_told_to_nobody(infrablocks: CommandLine) -> None:
    """stderr stays empty when the reader of stdout has gone."""
    process = infrablocks.start("run", "--", "yes")
    process.stdout.close()
    assert process.wait(WAIT_SECONDS) == 141
    assert process.stderr.read() == b""


def test_reader_that_has_stalled_does_not_keep_ctrl_c_out(infrablocks: CommandLine) -> None:
    """Where nobody reads the output any more (a pager that waits), a signal still ends everything soon."""
    process = infrablocks.start("run", "--", "sh", "-c", 'echo "$$ $$"; exec yes')
    pids = pids_in(process)
    wait_until(lambda: is_asleep(pids[0]))
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert_nothing_left(infrablocks, pids)


def test_stderr_that_has_stalled_does_not_keep_ctrl_c_out(infrablocks: CommandLine) -> None:
    """A log line that nobody reads holds nothing up."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(65536))
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = infrablocks.start("run", *TREE, stderr=writer)
    os.close(writer)
    pids = pids_in(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    os.close(reader)
    assert_nothing_left(infrablocks, pids)


def test_ctrl_c_before_anything_runs(infrablocks: CommandLine) -> None:
    """An interrupt while the program is still loading ends it without a traceback."""
    code = (
        "import sys, signal, infrablocks.cli.app as app, infrablocks.cli as cli\n"
        "app.run_app = lambda arguments: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    with PythonProgram(code, env=infrablocks.environment()) as program:
        assert program.communicate() == (b"", b"")
    assert program.returncode == 130
