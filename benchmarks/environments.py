"""The two environments: the other library's, and one with this library as a wheel built from the checkout.

They are kept in `~/.cache/infrablocks-benchmarks/`, each under a name that changes with everything that it is made of.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ALTERNATIVE = "prefect==2.20.25"

_PINS = Path(__file__).parent / "pins" / "prefect-2.20.25.txt"
# Both libraries get the same of these, so that the ratios do not compare versions of them.
_SHARED = ("anyio", "docker", "kubernetes", "pydantic", "pydantic-core", "requests", "typing-extensions", "urllib3")
_TOOLING = ("docker>=7.0", "pytest>=8")
# The version that the other library and its pins are for.
_PYTHON = "3.11"
_INSTALL_SECONDS = 900.0


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one of the libraries.

    Attributes:
        library: "prefect" or "infrablocks".
        python: Its interpreter.
        versions: What is installed there that matters, as `name version`.
    """

    library: str
    python: Path
    versions: tuple[str, ...]


def cache_directory() -> Path:
    """Give the directory that the environments are kept in; it exists afterwards."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = base / "infrablocks-benchmarks"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def alternative_environment() -> Environment:
    """Make the environment of the other library, or take the one that is there."""
    directory = _named("prefect", _PINS.read_bytes())
    if not _is_complete(directory):
        python = _new_environment(directory)
        _pip(python, "install", "--requirement", str(_PINS))
        _mark_complete(directory)
    return _environment("prefect", directory)


def own_environment(checkout: Path) -> Environment:
    """Make the environment of this library. What it needs is installed once, the library itself every time."""
    with tempfile.TemporaryDirectory() as temporary:
        shared = Path(temporary) / "shared.txt"
        shared.write_text("\n".join(_shared_pins()), encoding="utf-8")
        dependencies: list[str] = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"][
            "dependencies"
        ]
        directory = _named("infrablocks", "\n".join([*dependencies, *_shared_pins()]).encode())
        if not _is_complete(directory):
            _pip(_new_environment(directory), "install", "--constraint", str(shared), *dependencies)
            _mark_complete(directory)
        python = _python(directory)
        _pip(python, "wheel", "--no-deps", "--wheel-dir", temporary, str(checkout))
        wheels = [str(wheel) for wheel in Path(temporary).glob("*.whl")]
        _pip(python, "install", "--no-deps", "--force-reinstall", *wheels)
    return _environment("infrablocks", directory)


def tooling_python() -> Path:
    """Give an interpreter that has what the engines of the test tooling need; nothing is measured with it."""
    directory = _named("tooling", "\n".join(_TOOLING).encode())
    if not _is_complete(directory):
        _pip(_new_environment(directory), "install", *_TOOLING)
        _mark_complete(directory)
    return _python(directory)


def _shared_pins() -> list[str]:
    lines = (line.partition(";")[0].strip() for line in _PINS.read_text("utf-8").splitlines())
    return [line for line in lines if line.partition("==")[0] in _SHARED]


def _named(library: str, content: bytes) -> Path:
    digest = hashlib.sha256(content + str(_interpreter()).encode()).hexdigest()[:12]
    return cache_directory() / f"{library}-{digest}"


def _interpreter() -> Path:
    if sys.version.startswith(f"{_PYTHON}."):
        return Path(sys.executable).resolve()
    found = shutil.which(f"python{_PYTHON}")
    if found is None:
        raise SystemExit(f"{ALTERNATIVE} needs Python {_PYTHON}: there is no python{_PYTHON} on PATH.")
    return Path(found)


def _new_environment(directory: Path) -> Path:
    print(f"making {directory} …", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run([_interpreter(), "-m", "venv", directory], check=True, timeout=_INSTALL_SECONDS)
    return _python(directory)


def _python(directory: Path) -> Path:
    return directory / "bin" / "python"


def _is_complete(directory: Path) -> bool:
    return (directory / "complete").exists()


def _mark_complete(directory: Path) -> None:
    (directory / "complete").touch()


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, timeout=_INSTALL_SECONDS, stdin=subprocess.DEVNULL)


def _environment(library: str, directory: Path) -> Environment:
    names = (library, "pydantic", "anyio", "docker", "kubernetes")
    question = "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep='\\n')"
    answer = subprocess.run(
        [_python(directory), "-c", question, *names], check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return Environment(library, _python(directory), tuple(answer.stdout.splitlines()))
