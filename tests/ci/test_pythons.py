"""nox and CI find the Pythons of a machine by themselves, and a chosen part of the tests runs on each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pythons import find, missing, offer

from tests.pythons import HERE, REASONS

if TYPE_CHECKING:
    from pathlib import Path

# No real Python has these versions.
VERSION, OTHER = "3.97", "3.98"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory and a search path in which there is nothing yet."""
    for name in ("PYENV_ROOT", "PYENV_VERSION", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "INFRABLOCKS_ENGINES_CACHE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def install(path: Path, code: int = 0) -> Path:
    """Put something there that ends with this code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "place",
    [
        "bin/python3.97",
        ".pyenv/versions/3.97.1/bin/python3.97",
        ".local/share/uv/python/cpython-3.97.0rc1-linux-x86_64-gnu/bin/python3.97",
        ".cache/infrablocks-engines/forky-python3.97-0123456789ab/usr/bin/python3.97",
    ],
)
def test_where_a_python_is_found(home: Path, place: str) -> None:
    """Pythons of the search path, of pyenv and of uv are found, and what CI has fetched; nox then finds them, too."""
    python = install(home / place)
    assert find(VERSION) == python
    environment = {"PATH": "/somewhere"}
    assert offer([VERSION, OTHER], environment) == [OTHER]
    assert environment["PATH"].split(os.pathsep) == ["/somewhere", str(python.parent)]


def test_the_newest_python_of_a_version(home: Path) -> None:
    """Of several patch versions the newest is taken; free-threaded builds and neighbours of the version are not."""
    for name in ("3.97.9", "3.97.10", "3.97.11t", "3.971.0"):
        install(home / ".pyenv/versions" / name / "bin/python3.97")
    install(home / ".local/share/uv/python/cpython-3.97.12+freethreaded-linux-x86_64-gnu/bin/python3.97")
    assert find(VERSION) == home / ".pyenv/versions/3.97.10/bin/python3.97"


@pytest.mark.parametrize("kind", ["refuses", "is text", "is a folder", "has no loader", "is unreadable"])
def test_a_python_that_does_not_start(home: Path, kind: str) -> None:
    """One that does not start is passed over for the next one, as pyenv's own command may refuse a version."""
    python = install(home / "bin/python3.97", code=127)
    if kind == "is text":
        python.chmod(0o644)
    elif kind == "is a folder":
        python.unlink()
        python.mkdir()
    elif kind == "has no loader":
        python.write_text("#!/no/such/interpreter\n")
    elif kind == "is unreadable":
        python.write_bytes(b"\0")
    assert missing([VERSION]) == [VERSION]
    working = install(home / ".pyenv/versions/3.97.1/bin/python3.97")
    assert find(VERSION) == working


def test_pyenv_offers_its_versions(home: Path) -> None:
    """pyenv's own command works for the versions that a variable names; the variable is left alone where it is set."""
    for name in ("3.97.1", "3.98.2"):
        install(home / ".pyenv/versions" / name / f"bin/python{name[:4]}")
    environment = {"PATH": ""}
    offer([VERSION, OTHER], environment)
    assert environment["PYENV_VERSION"] == "3.97.1:3.98.2"
    environment["PYENV_VERSION"] = "system"
    offer([VERSION, OTHER], environment)
    assert environment["PYENV_VERSION"] == "system"


def test_without_a_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home directory, whom the machine does not know, has the Pythons of the search path."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    python = install(home / "bin/python3.97")
    assert [find(VERSION), find(OTHER)] == [python, None]


@pytest.mark.parametrize("name", REASONS)
def test_what_runs_on_each_python(name: str) -> None:
    """Each folder and file of the list is there."""
    assert (HERE / name).exists()


def test_the_marker(request: pytest.FixtureRequest) -> None:
    """The tests of a listed file carry the marker with its reason."""
    marker = request.node.get_closest_marker("pythons")
    assert marker.args == (REASONS["ci/test_pythons.py"],)
