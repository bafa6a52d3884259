"""What a run waits for is shown on a terminal as long as it lasts, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

PROGRAM = """
import logging, sys
from infrablocks._progress import WaitProgress, tell_progress
from infrablocks.cli import logs, progress
from infrablocks.cli.logs import logs_on_stderr
from infrablocks.cli.progress import progress_on_terminal

# What is shown may come as late as it likes: loading what draws it takes long on a busy machine.
progress._WIPED_SECONDS = logs._LAST_LINES_SECONDS = 100

with logs_on_stderr(logging.WARNING, tracebacks=False), progress_on_terminal(wanted=sys.argv[1] == "wanted"):
    tell_progress(WaitProgress("Pod none", "Running", is_over=True))
    tell_progress(WaitProgress("Pod a-1", "Pending [/x]"))
    tell_progress(WaitProgress("Pulling image b:1", "1 of 2 layers", 1_000_000, 4_000_000))
    tell_progress(WaitProgress("Pod a-1", is_over=True))
    tell_progress(WaitProgress("Pulling image b:1", is_over=True))
    print("then the output", flush=True)
    tell_progress(WaitProgress("Pod c", "Pending"))
    logging.getLogger("infrablocks.test").warning("it is late")
"""

# The line is wiped, and the cursor is shown again.
WIPED = re.compile(r"(\x1b\[2K\x1b\[\?25h\r?|\x1b\[\?25h\r\x1b\[1A\x1b\[2K)$")


def shown(wanted: str) -> str:
    """Run the program in a terminal, and give all that the terminal gets."""
    person, terminal = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, wanted], stdout=terminal, stderr=terminal, env=variables):
        os.close(terminal)
        parts = []
        try:
            while part := os.read(person, 65536):
                parts.append(part)
        except OSError:  # so Linux tells that nobody has the terminal open any more
            pass
        finally:
            os.close(person)
    return b"".join(parts).decode()


def test_on_a_terminal() -> None:
    """What is waited for, its words and its bytes are there, and are wiped away before anything else is printed."""
    before, _, after = shown("wanted").partition("then the output")
    words = ("Pod a-1", "Pending [/x]", "Pulling image b:1", "1 of 2 layers", "1.0 of 4.0 MB")
    assert [word for word in words if word not in before] == []
    assert "Pod none" not in before
    assert WIPED.search(before)
    below, _, _ = after.partition("Warning: it is late\r\n")
    assert "Pod c" in below
    assert WIPED.search(below)


def test_where_nobody_wants_it() -> None:
    """Nothing else comes to the terminal."""
    assert shown("unwanted") == "then the output\r\nWarning: it is late\r\n"


def test_where_there_is_no_terminal() -> None:
    """Nothing comes into a file or a pipe."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, "wanted"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("then the output\n", "Warning: it is late\n")
