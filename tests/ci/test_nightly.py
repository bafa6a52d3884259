"""The gate leaves out long tests, and of older engines all but what differs; both say why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBE = """
import pytest

def test_plain(): pass

@pytest.mark.nightly("it costs minutes")
def test_long(): pass

@pytest.mark.parametrize("engine", ["docker20", "docker29", "podman", "podman5"])
def test_on_engines(engine): pass

@pytest.mark.differs_between_engines("the words of an error")
@pytest.mark.parametrize("engine", ["docker20", "docker29"])
def test_of_what_differs(engine): pass
"""


def pytest_on(probe: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests of a file with the settings and hooks of this project."""
    file = folder / "test_probe.py"
    file.write_text(probe)
    own = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    command = [sys.executable, "-m", "pytest", *own, *options, str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_gate(tmp_path: Path) -> None:
    """Nightly tests are left out, older engines run only what differs; also where several processes run the tests."""
    printed = pytest_on(PROBE, tmp_path, "-v").stdout
    assert "5 passed, 3 deselected" in printed
    assert {name for name in ("docker20", "docker29", "podman", "podman5") if f"on_engines[{name}]" in printed} == {
        "docker29",
        "podman5",
    }
    assert "5 passed" in pytest_on(PROBE, tmp_path, "--numprocesses=2").stdout


def test_the_night(tmp_path: Path) -> None:
    """All run, and a line for each that is not in the gate says why."""
    printed = pytest_on(PROBE, tmp_path, "--nightly").stdout
    assert "8 passed" in printed
    _, _, listed = printed.partition("not in the gate")
    assert "::test_long: it costs minutes\n" in listed
    assert "::test_on_engines: an older engine, on which only what differs between engines runs" in listed
    assert "test_plain" not in listed


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ("it costs minutes", "::test_long: the marker `nightly`"),
        ("the words of an error", "::test_of_what_differs[docker20]: the marker `differs_between_engines`"),
    ],
)
def test_a_marker_without_a_reason(tmp_path: Path, reason: str, problem: str) -> None:
    """It is an error that names the test and the marker."""
    done = pytest_on(PROBE.replace(f'"{reason}"', ""), tmp_path)
    assert done.returncode != 0
    assert f"{problem} takes one text, the reason" in done.stdout + done.stderr
