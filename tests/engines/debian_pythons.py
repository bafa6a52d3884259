"""Pythons of a newer Debian suite: ``python -m tests.engines.debian_pythons VERSION...``.

They lack ``ensurepip``, which Debian packages apart: ``python -m venv`` fails, uv and virtualenv work.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.engines.debian_suites import runnable
from tests.engines.errors import EngineError

_SUITE = "forky"


def python(version: str) -> Path:
    """Return an interpreter, after fetching it if it is not in the cache; `.ci/pythons.py` finds it there.

    Args:
        version: Such as ``3.14``.

    Raises:
        EngineError: It could not be had.
    """
    name = f"python{version}"
    return runnable(_SUITE, name) / "usr" / "bin" / name


def main(versions: Sequence[str]) -> int:
    """Fetch interpreters; the exit code is 1 if one could not be had."""
    failed = False
    for version in versions:
        try:
            sys.stdout.write(f"Python {version}: {python(version)}\n")
        except (EngineError, OSError) as error:
            failed = True
            sys.stdout.write(f"Python {version} of Debian {_SUITE}: {error}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
