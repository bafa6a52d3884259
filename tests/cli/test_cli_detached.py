"""`infrablocks attach`, `logs --follow` and `status --watch`, with processes that outlive the call that made them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.command_line import CommandLine
    from tests.python_programs import PythonProgram

# Print the pid, go on when there is a file `go`, and end with a status code of its own.
TWO_STEPS = 'echo "$$"; echo to-stderr >&2; until [ -e go ]; do sleep 0.02; done; echo second; exit 3'


def first_line_of(process: PythonProgram) -> str:
    return process.stdout.readline().decode().strip()


class Detached:
    """A run that was started detached, and left again with Ctrl-C."""

    def __init__(self, infrablocks: CommandLine) -> None:
        # By itself the command line ends what it runs.
        options = ("--set", "detached=true", "--set", "on_cancel=leave", "--set", "working_dir=.")
        run = infrablocks.start("run", *options, "--", "sh", "-c", TWO_STEPS)
        self.pid = first_line_of(run)
        assert run.stderr.readline() == b"to-stderr\n"
        run.send_signal(signal.SIGINT)
        assert run.wait(WAIT_SECONDS) == 130
        assert is_alive(int(self.pid))
        self._go = infrablocks.folder / "go"

    def go_on(self) -> None:
        """Let it print the rest and end."""
        self._go.touch()


@pytest.fixture
def detached(infrablocks: CommandLine) -> Iterator[Detached]:
    process = Detached(infrablocks)
    yield process
    infrablocks("kill", process.pid, "--grace-seconds", "0")


def test_attach_gives_output_and_exit_code(infrablocks: CommandLine, detached: Detached) -> None:
    """All of both streams comes, what was printed before as well; the exit code is the command's, also later."""
    attached = infrablocks.start("attach", detached.pid)
    assert first_line_of(attached) == detached.pid
    assert attached.poll() is None
    detached.go_on()
    stdout, stderr = attached.communicate()
    assert (attached.returncode, stdout) == (3, b"second\n")
    assert stderr.decode().splitlines()[0] == "to-stderr"
    again = infrablocks("attach", detached.pid)
    assert (again.returncode, again.stdout) == (3, f"{detached.pid}\nsecond\n")
    assert again.stderr == stderr.decode()


def test_attaching_ends_alone(infrablocks: CommandLine, detached: Detached) -> None:
    """Ctrl-C on `attach` leaves the process running."""
    attached = infrablocks.start("attach", detached.pid)
    assert first_line_of(attached) == detached.pid
    attached.send_signal(signal.SIGINT)
    assert attached.wait(WAIT_SECONDS) == 130
    assert infrablocks("status", detached.pid).stdout == "Running\n"


def test_attach_after_a_cursor(infrablocks: CommandLine, detached: Detached) -> None:
    """What the cursor counts, in each stream of its own, is left out; one that is none is told."""
    detached.go_on()
    assert infrablocks("attach", detached.pid).returncode == 3
    for stdout, stderr, expected in ((1, 0, "second\n"), (0, 1, f"{detached.pid}\nsecond\n"), (2, 1, "")):
        cursor = f'{{"version":1,"lines":{{"stdout":{stdout},"stderr":{stderr}}}}}'
        done = infrablocks("attach", detached.pid, "--after", cursor)
        assert (done.returncode, done.stdout) == (3, expected)
        assert ("to-stderr" in done.stderr) == (not stderr)
    done = infrablocks("attach", detached.pid, "--after", "nonsense")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: ")
    assert "cursor" in done.stderr


def test_logs_are_followed_to_the_end(infrablocks: CommandLine, detached: Detached) -> None:
    """With -f they go on until the process has ended, without it they end where it stands; both are a success."""
    done = infrablocks("logs", detached.pid)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{detached.pid}\n", "to-stderr\n")
    followed = infrablocks.start("logs", "-f", detached.pid)
    assert first_line_of(followed) == detached.pid
    assert followed.poll() is None
    detached.go_on()
    stdout, stderr = followed.communicate()
    assert (followed.returncode, stdout) == (0, b"second\n")
    assert stderr.decode().splitlines()[0] == "to-stderr"


def test_status_is_watched_to_the_end(infrablocks: CommandLine, detached: Detached) -> None:
    """--watch prints each change once, the last one being the end."""
    watched = infrablocks.start("status", detached.pid, "--watch", "--interval", "0.1")
    assert first_line_of(watched) == "Running"
    assert watched.poll() is None
    detached.go_on()
    assert watched.communicate() == (b"Failed\n", b"")
    assert watched.returncode == 0
    assert infrablocks("status", detached.pid).stdout == "Failed\n"
