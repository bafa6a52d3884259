"""What the rows measure with: the environments, and running a script in one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.environments import Environment
    from benchmarks.samples import Figures

_SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True)
class Bench:
    """What a group of rows measures with.

    Attributes:
        alternative: The environment of the other library.
        own: The environment of this library.
        directory: For files, removed at the end.
        quick: Whether to measure little, only to see that it works.
    """

    alternative: Environment
    own: Environment
    directory: Path
    quick: bool

    def repetitions(self, number: int) -> int:
        """Give how often to measure: the number, or twice where it is to be quick."""
        return min(2, number) if self.quick else number

    def run(
        self,
        environment: Environment,
        script: str,
        *arguments: str,
        timeout: float = 120,
        stdout: int | IO[bytes] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Figures:
        """Run a script by the interpreter of an environment.

        Args:
            environment: Whose interpreter.
            script: The name of a file in `benchmarks/scripts/`.
            arguments: For the script, after the file for its figures.
            timeout: After so many seconds the script is killed and the benchmark ends.
            stdout: The script's stdout; None for the null device.
            variables: Variables of the script's besides the usual ones.

        Returns:
            What the script has handed over.

        Raises:
            SystemExit: It failed, or took too long.
        """
        figures = self.directory / "figures.json"
        figures.unlink(missing_ok=True)
        command = [str(environment.python), "-P", str(_SCRIPTS / f"{script}.py"), str(figures), *arguments]
        with (self.directory / "stderr.txt").open("w+b") as stderr:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=_variables(str(self.directory)) | dict(variables or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=stderr,
                start_new_session=True,
            )
            status = _status_within(timeout, process)
            if status != 0:
                stderr.seek(0)
                message = stderr.read().decode("utf-8", "replace")[-4000:]
                raise SystemExit(f"{environment.library}: {' '.join(command)} ended with {status}:\n{message}")
        values: dict[str, float] = json.loads(figures.read_text("utf-8"))
        return values


@contextmanager
def bench(alternative: Environment, own: Environment, *, quick: bool) -> Iterator[Bench]:
    """Give a bench whose files are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="infrablocks-benchmarks-", ignore_cleanup_errors=True) as directory:
        yield Bench(alternative, own, Path(directory), quick)


def progress(text: str) -> None:
    """Say what is being measured; the table alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


def _variables(directory: str) -> dict[str, str]:
    """Give the variables of a script: no settings of the user's, and neither library logs anything."""
    foreign = ("PREFECT_", "INFRABLOCKS_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        "DO_NOT_TRACK": "1",
        "INFRABLOCKS_HOME": f"{directory}/infrablocks",
        "PREFECT_HOME": f"{directory}/prefect",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": str(_SCRIPTS.parent.parent),
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": directory,
    }


def _status_within(timeout: float, process: subprocess.Popen[bytes]) -> int | str:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"no end within {timeout:g} seconds"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
