"""`infrablocks status` and `infrablocks kill`."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS, is_alive, record_is_written, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.command_line import CommandLine


def test_status_and_kill_by_the_pid(infrablocks: CommandLine) -> None:
    """A run in another terminal is found by its pid, and its own call ends as killed."""
    process = infrablocks.start("run", "--", "sh", "-c", "sleep 1000 & echo $$; wait")
    pid = int(process.stdout.readline())
    wait_until(record_is_written)
    done = infrablocks("status", str(pid))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Running\n", "")
    assert infrablocks("status", f"{socket.gethostname()}:{pid}").stdout == "Running\n"
    done = infrablocks("kill", str(pid))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not is_alive(pid)
    assert process.wait(WAIT_SECONDS) == 143
    assert infrablocks("status", str(pid)).returncode == 1


def test_output_of_a_process_is_not_kept(infrablocks: CommandLine) -> None:
    """`logs` says so of one that is not detached."""
    process = infrablocks.start("run", "--", "sh", "-c", "echo $$; sleep 1000")
    pid = int(process.stdout.readline())
    wait_until(record_is_written)
    done = infrablocks("logs", str(pid))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: The output of {pid} is not kept: only its own run prints it.\n"
    assert infrablocks("kill", str(pid)).returncode == 0


def test_kill_gives_the_time_it_is_told(infrablocks: CommandLine) -> None:
    """What ignores SIGTERM is killed after --grace-seconds."""
    process = infrablocks.start("run", "--", "sh", "-c", 'trap "" TERM; echo $$; sleep 1000')
    pid = process.stdout.readline().decode().strip()
    wait_until(record_is_written)
    began = time.monotonic()
    assert infrablocks("kill", pid, "--grace-seconds", "0.5").returncode == 0
    assert time.monotonic() - began >= 0.5
    assert process.wait(WAIT_SECONDS) == 137


def test_ctrl_c_ends_the_grace_period_of_kill(infrablocks: CommandLine) -> None:
    """Whoever does not want to wait presses Ctrl-C; the workload is gone then, too."""
    process = infrablocks.start("run", "--", "sh", "-c", 'trap "echo told" TERM; echo $$; while :; do sleep 1; done')
    pid = process.stdout.readline().decode().strip()
    wait_until(record_is_written)
    kill = infrablocks.start("kill", pid, "--grace-seconds", "600")
    assert process.stdout.readline() == b"told\n"
    kill.send_signal(signal.SIGINT)
    assert kill.wait(WAIT_SECONDS) == 130
    assert kill.stderr.read() == b""
    assert process.wait(WAIT_SECONDS) == 137


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that no run has started."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("call", ["status", "kill"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{other}",), "has the process"),
        (("nobody",), "is not the identifier of a process"),
        (("elsewhere:1",), "runs on elsewhere"),
        (("1", "--type", "proces"), 'no block type "proces"; did you mean process?'),
    ],
)
def test_what_is_not_found_is_told_in_one_line(
    infrablocks: CommandLine, other: subprocess.Popen[bytes], call: str, words: tuple[str, ...], message: str
) -> None:
    """A process that no run has started is never touched."""
    done = infrablocks(call, *(word.format(other=other.pid) for word in words))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert other.poll() is None


def test_negative_grace_period(infrablocks: CommandLine) -> None:
    """A wrong option is told by its name."""
    done = infrablocks("kill", "1", "--grace-seconds", "-1")
    assert done.returncode == 2
    assert "--grace-seconds" in done.stderr
