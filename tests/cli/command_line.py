"""The command line as a person calls it: a real process, in a real terminal where that is wanted."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import WAIT_SECONDS

# Makes stdin the controlling terminal of a new session, as a terminal window does, and becomes the program.
_IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


# What a test does not set itself must not depend on who runs it: Prefect's settings, and which engines there are.
_NOT_INHERITED = ("PREFECT_", "DOCKER_", "XDG_RUNTIME_DIR")


class CommandLine:
    """Calls `python -m infrablocks` in a folder of its own, with variables of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.variables = variables
        self.home = Path(os.environ["INFRABLOCKS_HOME"])
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
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
        self, *arguments: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start a command."""
        return self._started_with(self.words(*arguments), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)

    def start_in_terminal(self, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a command in a terminal of its own; gives the side of it where a person sits."""
        person, terminal = pty.openpty()
        words = [sys.executable, "-c", _IN_TERMINAL, *self.words(*arguments)]
        try:
            process = self._started_with(
                words, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
            )
        finally:
            os.close(terminal)
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
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGINT)
                process.wait(WAIT_SECONDS)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _started_with(self, words: list[str], **arguments: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(words, cwd=self.folder, env=self.environment(), **arguments)  # type: ignore[call-overload]
        self._started.append(process)
        return process  # type: ignore[no-any-return]
