"""Prefect in a virtual environment of its own: its dependencies would fight with ours."""

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.engines.errors import EngineError
from tests.engines.locks import exclusive
from tests.engines.paths import cache_directory

VERSION = "3.8.8"
REQUIREMENTS = (f"prefect=={VERSION}", "fastapi<0.150")
"""Newer releases of fastapi lack an argument that this Prefect uses."""

_FINISHED = "finished"


def environment() -> Path:
    """Return the virtual environment, made if it is not in the cache; its Python is `bin/python`.

    Raises:
        EngineError: pip failed.
    """
    directory = cache_directory() / f"prefect-{VERSION}-{_digest()}"
    if not (directory / _FINISHED).exists():
        with exclusive(cache_directory() / "prefect.lock"):
            if not (directory / _FINISHED).exists():  # somebody else may have made it while we waited
                _make(directory)
    return directory


def run_politely(command: Sequence[str]) -> None:
    """Run a program that installs something, with a low priority: other people work on this machine.

    Raises:
        EngineError: It failed; with the end of what it said.
    """
    done = subprocess.run(
        ["nice", "-n", "19", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stdout[-3000:]}")


def _digest() -> str:
    return hashlib.sha256(repr((REQUIREMENTS, platform.python_version())).encode()).hexdigest()[:12]


def _make(directory: Path) -> None:
    # Environments cannot be moved, so this one is made in its place, and a file says when it is whole.
    shutil.rmtree(directory, ignore_errors=True)
    run_politely([sys.executable, "-m", "venv", str(directory)])
    run_politely([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS])
    (directory / _FINISHED).touch()
