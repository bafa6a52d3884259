"""The marker `nightly` keeps a test out of the gate, and says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROBE = """
import pytest

def test_plain(): pass

@pytest.mark.nightly("it costs minutes")
def test_long(): pass

@pytest.mark.nightly("the others show the same", except_on="docker29")
@pytest.mark.parametrize("engine", ["docker20", "docker29"])
def test_on_engines(engine): pass
"""


def pytest_on(probe: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests of a file with the settings and hooks of this project."""
    file = folder / "test_probe.py"
    file.write_text(probe)
    own = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    command = [sys.executable, "-m", "pytest", *own, *options, str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_gate(tmp_path: Path) -> None:
    """A nightly test is deselected, but on the engine that stays; also where several processes run the tests."""
    assert "2 passed, 2 deselected" in pytest_on(PROBE, tmp_path).stdout
    assert "2 passed" in pytest_on(PROBE, tmp_path, "--numprocesses=2").stdout


def test_the_night(tmp_path: Path) -> None:
    """All run, and a line for each that is not in the gate says why."""
    printed = pytest_on(PROBE, tmp_path, "--nightly").stdout
    assert "4 passed" in printed
    _, _, listed = printed.partition("not in the gate")
    assert "::test_long: it costs minutes\n" in listed
    assert "::test_on_engines: the others show the same\n" in listed
    assert "test_plain" not in listed


def test_a_marker_without_a_reason(tmp_path: Path) -> None:
    """It is an error that names the test."""
    done = pytest_on(PROBE.replace('"it costs minutes"', ""), tmp_path)
    assert done.returncode != 0
    assert "::test_long: the marker `nightly` takes one text, the reason" in done.stdout + done.stderr


OLDER = """
import pytest

@pytest.mark.differs_between_engines("its own words")
@pytest.mark.parametrize("server", ["prefect", "prefect2"])
def test_what_differs(server): pass

@pytest.mark.parametrize("server", ["prefect", "prefect2"])
def test_what_does_not(server): pass
"""


def test_an_older_engine(tmp_path: Path) -> None:
    """It runs in the gate only what differs between engines, and everything at night."""
    assert "3 passed, 1 deselected" in pytest_on(OLDER, tmp_path).stdout
    printed = pytest_on(OLDER, tmp_path, "--nightly").stdout
    assert "4 passed" in printed
    assert "::test_what_does_not: an older engine, on which only what differs" in printed


def test_a_difference_without_a_reason(tmp_path: Path) -> None:
    """It is an error that names the test."""
    done = pytest_on(OLDER.replace('"its own words"', ""), tmp_path)
    assert done.returncode != 0
    assert "the marker `differs_between_engines` takes one text, the reason" in done.stdout + done.stderr
