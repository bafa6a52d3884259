"""Ctrl-C and its like while a container runs."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_cli.own_container import CONTAINER
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine
    from tests.integration.docker_cli.own_container import OwnContainer
    from tests.python_programs import PythonProgram

pytestmark = pytest.mark.integration

# The first process of a container ignores SIGTERM unless it asks for it.
OBEDIENT = ("--", "sh", "-c", "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done")
DEAF = ("--", "sh", "-c", "trap '' TERM; echo running; while :; do sleep 0.05; done")
# Longer than any test waits.
LONG_GRACE = ("--grace-seconds", "1000")


def started(infrablocks: CommandLine, *words: str) -> PythonProgram:
    process = infrablocks.start(*words)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    return process


def first_line(process: PythonProgram) -> str:
    assert process.stderr is not None
    return process.stderr.readline().decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_stops_the_container(
    infrablocks: CommandLine, own: OwnContainer, number: signal.Signals, code: int
) -> None:
    """The container gets SIGTERM and is kept; the exit code names the signal, and one line tells of it."""
    process = started(infrablocks, *own.run(), *OBEDIENT)
    process.send_signal(number)
    assert process.wait(WAIT_SECONDS) == code
    assert own.state()["State"]["ExitCode"] == 7
    assert not own.is_running
    assert first_line(process).startswith(f"Warning: {number.name}: stopping the command")
    assert first_line(process) == ""


def test_grace_period_is_given_and_kept(infrablocks: CommandLine, own: OwnContainer) -> None:
    """A container that ignores SIGTERM is killed after the grace period, and removed where that is wanted."""
    process = started(infrablocks, *own.run("--grace-seconds", "1", "--set", "auto_remove=true"), *DEAF)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert time.monotonic() - began >= 1
    assert not own.exists


def test_second_signal_ends_it_at_once(infrablocks: CommandLine, own: OwnContainer) -> None:
    """A second signal cuts the grace period short; the container is removed all the same."""
    process = started(infrablocks, *own.run(*LONG_GRACE, "--set", "auto_remove=true"), *DEAF)
    process.send_signal(signal.SIGINT)
    assert "a second signal" in first_line(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert not own.exists


def test_ctrl_c_ends_the_grace_period_of_kill(infrablocks: CommandLine, own: OwnContainer) -> None:
    """Whoever does not want to wait presses Ctrl-C; the container has ended then, too."""
    told = ("--", "sh", "-c", "trap 'echo told' TERM; echo running; while :; do sleep 0.05; done")
    process = started(infrablocks, *own.run(), *told)
    kill = infrablocks.start("kill", own.name, *LONG_GRACE, *CONTAINER)
    assert process.stdout is not None
    assert process.stdout.readline() == b"told\n"
    kill.send_signal(signal.SIGINT)
    assert kill.wait(WAIT_SECONDS) == 130
    assert process.wait(WAIT_SECONDS) == 137


def test_container_outlives_a_command_line_that_is_killed(infrablocks: CommandLine, own: OwnContainer) -> None:
    """SIGKILL cannot be caught; `kill` still finds the container by its name."""
    process = started(infrablocks, *own.run(), *OBEDIENT)
    process.kill()
    process.wait(WAIT_SECONDS)
    assert own.is_running
    done = infrablocks("kill", own.name, *CONTAINER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert own.state()["State"]["ExitCode"] == 7


def test_on_cancel_leave_is_respected(infrablocks: CommandLine, own: OwnContainer) -> None:
    """The container goes on, and a line tells how to watch and end it."""
    process = started(infrablocks, *own.run("--set", "on_cancel=leave"), *OBEDIENT)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert own.is_running
    assert own.state()["Id"] in first_line(process)
