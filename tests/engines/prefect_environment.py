"""Prefect in a virtual environment of its own: its dependencies would fight with ours."""

import hashlib
import platform
import shutil
import sys
from pathlib import Path

from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
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


def _digest() -> str:
    return hashlib.sha256(repr((REQUIREMENTS, platform.python_version())).encode()).hexdigest()[:12]


def _make(directory: Path) -> None:
    # Environments cannot be moved, so this one is made in its place, and a file says when it is whole.
    shutil.rmtree(directory, ignore_errors=True)
    run_politely([sys.executable, "-m", "venv", str(directory)])
    run_politely([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS])
    (directory / _FINISHED).touch()
