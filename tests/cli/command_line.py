"""The command line as a person calls it: in this process where that is enough, in one of its own, in a terminal."""

from __future__ import annotations

import logging
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from unittest.mock import patch

from infrablocks.blocks.stores import sqlite_file
from infrablocks.cli import logs, main
from tests.processes import WAIT_SECONDS
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

# Makes stdin the controlling terminal of a new session, as a terminal window does, and becomes the program.
_IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


# What a test does not set itself must not depend on who runs it: Prefect's settings, and which engines there are.
_NOT_INHERITED = ("PREFECT_", "DOCKER_", "KUBE", "XDG_RUNTIME_DIR")
_MOST_BYTES = 2**20
_PROGRAM = "import sys; from infrablocks.cli import main; sys.exit(main())"


class CommandLine:
    """Calls `python -m infrablocks` in a folder of its own, with variables of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.variables = variables
        self.home = Path(os.environ["INFRABLOCKS_HOME"])
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._started: list[subprocess.Popen[bytes] | PythonProgram] = []

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.program(*arguments, **variables)

    def program(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process of its own."""
        return subprocess.run(
            self.words(*arguments),
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def start(
        self,
        *arguments: str,
        program: str = _PROGRAM,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> PythonProgram:
        """Start a command in a process of its own, in which the library is already loaded."""
        started = PythonProgram(
            program, *arguments, env=self.environment(), cwd=self.folder, stdout=stdout, stderr=stderr
        )
        self._started.append(started)
        return started

    def start_in_terminal(self, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a command in a terminal of its own; gives the side of it where a person sits."""
        person, terminal = pty.openpty()
        words = [sys.executable, "-c", _IN_TERMINAL, *self.words(*arguments)]
        try:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
            )
        finally:
            os.close(terminal)
        self._started.append(process)
        return process, person

    def words(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "infrablocks", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        python_path = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        own = {
            "COLUMNS": "120",
            "HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(python_path),
            "TMPDIR": str(self.temporary),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        return {**inherited, **own, **self.variables, **variables}

    def records(self) -> list[str]:
        runs = self.home / "runs"
        return sorted(os.listdir(runs)) if runs.exists() else []

    def end_all(self) -> None:
        """End what was started and still runs, with its workload where that is possible."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(WAIT_SECONDS)
                finally:
                    process.kill()
            if isinstance(process, PythonProgram):
                process.close()


class CommandLineHere(CommandLine):
    """Calls `infrablocks` in this process, which takes a hundredth of the time that an interpreter needs to start.

    Where the process itself is what is tested (signals, its streams, their encoding, what it imports, its end), there
    are `start` and, with an interpreter that is started for it, `program`.
    """

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in this process, which is afterwards as it was before."""
        before, threads = _state_of_this_process(), set(threading.enumerate())
        with self._as_a_program(variables), _files_as_streams() as files:
            code = main(arguments)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            stdout, stderr = (os.pread(file.fileno(), _MOST_BYTES, 0).decode() for file in files)
        after = _state_of_this_process()
        assert after == before, f"{before} was left as {after}"
        assert [one for one in threading.enumerate() if not one.daemon and one not in threads] == []
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)

    @contextmanager
    def _as_a_program(self, variables: dict[str, str]) -> Iterator[None]:
        """Give this process the folder and the variables, and Python's own filters of warnings."""
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.environment(**variables), clear=True),
            patch.object(tempfile, "tempdir", None),
            patch.object(logs, "_LAST_LINES_SECONDS", WAIT_SECONDS),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("default", UserWarning)
            try:
                yield
            finally:
                sqlite_file.close()


@contextmanager
def _files_as_streams() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Put files in the place of stdout and stderr, and nothing in that of stdin.

    The file descriptors are replaced, too: what a workload prints does not pass through Python's own streams.
    """
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        for number, file in enumerate([nothing, out, err]):
            stack.enter_context(_replaced_descriptor(number, file.fileno()))
        for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
            stream = open(number, "w", buffering=1, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
            stack.enter_context(patch.object(sys, name, stack.enter_context(stream)))
        yield out, err


@contextmanager
def _replaced_descriptor(number: int, other: int) -> Iterator[None]:
    kept = os.dup(number)
    os.dup2(other, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _state_of_this_process() -> list[object]:
    """Give what a call of the command line could leave behind in this process."""
    logger = logging.getLogger("infrablocks")
    return [
        [signal.getsignal(number) for number in signal.valid_signals()],
        [logger.level, *logger.handlers],
        [warnings.showwarning, *warnings.filters],
    ]
