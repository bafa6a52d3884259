"""Prefect in virtual environments of its own: its dependencies would fight with ours."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
from tests.engines.paths import cache_directory

PACKAGES = ("python3.11-venv",)

# Debian's own, whatever Python runs the tests: the pins of Prefect 2 are for 3.11, and some Pythons lack ensurepip.
_PYTHON = "/usr/bin/python3.11"

_FINISHED = "finished"


@dataclass(frozen=True)
class PrefectEnvironment:
    """A virtual environment with one version of Prefect, kept in the cache.

    Args:
        version: Prefect's version.
        requirements: What pip installs, a requirement each.
    """

    version: str
    requirements: tuple[str, ...]

    def directory(self) -> Path:
        """Return the virtual environment, made if it is not in the cache.

        Raises:
            EngineError: There is no Python to make it with, or pip failed.
        """
        directory = cache_directory() / f"prefect-{self.version}-{self._digest()}"
        if not (directory / _FINISHED).exists():
            with exclusive(cache_directory() / "prefect.lock"):
                if not (directory / _FINISHED).exists():  # somebody else may have made it while we waited
                    self._make(directory)
        return directory

    def python(self) -> Path:
        """Return its interpreter."""
        return self.directory() / "bin" / "python"

    def _digest(self) -> str:
        return hashlib.sha256(repr((self.requirements, _PYTHON)).encode()).hexdigest()[:12]

    def _make(self, directory: Path) -> None:
        # Environments cannot be moved, so this one is made in its place, and a file says when it is whole.
        shutil.rmtree(directory, ignore_errors=True)
        run_politely([_PYTHON, "-m", "venv", str(directory)])
        pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        run_politely([*pip, "install", "--quiet", *self.requirements])
        (directory / _FINISHED).touch()


def _pinned(name: str, *, without: str) -> tuple[str, ...]:
    lines = (Path(__file__).parents[2] / "benchmarks" / "pins" / name).read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith(("#", f"{without}==")))


# Newer releases of fastapi lack an argument that this Prefect uses.
PREFECT_3 = PrefectEnvironment("3.8.8", ("prefect==3.8.8", "fastapi<0.150"))

# The last release with the blocks that ours replace, as the benchmarks measure it, but with an older anyio: the task
# groups of newer ones have one more abstract method, and this Prefect cannot execute a flow run with them.
PREFECT_2 = PrefectEnvironment("2.20.25", ("anyio==4.9.0", *_pinned("prefect-2.20.25.txt", without="anyio")))
