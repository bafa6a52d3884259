"""The distributions that the tests look at: those of the session, or built here where uv is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def uv() -> str:
    """The program uv, which makes environments within a second; it stands in PATH or in the variable UV."""
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.skip("no uv: `nox -s package` brings one along")
    return program


@pytest.fixture(scope="session")
def distributions(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, and with the wheel that was built of it."""
    if built := os.environ.get("INFRABLOCKS_DISTRIBUTIONS"):
        return Path(built)
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([uv, "build", "--quiet", "--out-dir", str(folder), str(ROOT)], check=True)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """The wheel."""
    (found,) = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def source_distribution(distributions: Path) -> Path:
    """The source distribution."""
    (found,) = distributions.glob("*.tar.gz")
    return found
