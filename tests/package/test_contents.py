"""What the distributions hold: the library and its licence in the wheel, what a packager needs in the source too."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from tests.package.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Other files of the top level are of no use without the repository.
_PAGES = sorted(path.name for path in ROOT.glob("*.md"))


def names_in_wheel(wheel: Path) -> set[str]:
    """List the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_source(source_distribution: Path) -> set[str]:
    """List the files of a source distribution, without its top folder."""
    with tarfile.open(source_distribution) as archive:
        return {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    """The wheel has each file of src/infrablocks, `py.typed` with them, its metadata, and no tests."""
    folder = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/infrablocks").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "infrablocks/py.typed" in source
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"}
    assert names_in_wheel(wheel) == source | {f"{folder}/{name}" for name in about}


def test_the_source_distribution_holds_what_is_needed_to_test_it(source_distribution: Path) -> None:
    """The source distribution has library, tests, documentation, examples, all pages, and the licence's files."""
    names = names_in_source(source_distribution)
    assert {"LICENSE", "NOTICE", "pyproject.toml", "noxfile.py", "mkdocs.yml", *_PAGES} <= names
    assert {"AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"} <= names
    assert {"src/infrablocks/py.typed", "tests/conftest.py", "docs/start.md", "examples/agent.py", ".ci/run"} <= names
    assert [name for name in names if "__pycache__" in name or name.startswith((".venv", ".nox", ".git/"))] == []


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_no_template_text(name: str) -> None:
    """The licence's files are whole, and nothing in them is left to be filled in."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "[yyyy]" not in text
    assert "[name of copyright owner]" not in text
    if name == "LICENSE":
        assert text.lstrip().startswith("Apache License")
        assert [f"   {number}. " in text for number in range(1, 10)] == [True] * 9
        assert text.rstrip().endswith("END OF TERMS AND CONDITIONS")
    else:
        assert "The infrablocks developers" in text
        assert "Prefect" in text
