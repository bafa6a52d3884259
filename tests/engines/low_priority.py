"""Run programs that install or build something with a low priority: other people work on this machine."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.engines.errors import EngineError

_SHOWN = 3000


def run_politely(
    command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        folder: Where it works; None: where we do.
        environment: Variables beside our own.

    Raises:
        EngineError: It failed; with the end of what it said.
    """
    done = subprocess.run(
        ["nice", "-n", "19", *command],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stdout[-_SHOWN:]}")
