"""Schemas and checksums stay what they were: in every process, on every version of Python, with every pydantic."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from tests.blocks.golden_schemas import BLOCKS, FOLDER, schema_text
from tests.processes import WAIT_SECONDS


@pytest.mark.parametrize("slug", BLOCKS)
def test_the_schema_is_the_one_in_its_file(slug: str) -> None:
    """Where a change of fields is meant: `python -m tests.blocks.golden_schemas` writes the files anew."""
    assert schema_text(slug) == (FOLDER / f"{slug}.json").read_text(encoding="utf-8")


def test_every_type_of_ours_has_a_file() -> None:
    """The block types that the package offers by entry points are those with a file."""
    project = tomllib.loads((FOLDER.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = set(project["entry-points"]["infrablocks.blocks"])
    assert {path.stem for path in FOLDER.iterdir()} == set(BLOCKS) == offered


def test_checksums_do_not_depend_on_the_process() -> None:
    """Another process, with another order of its sets, has the same ones."""
    code = (
        "from tests.blocks.golden_schemas import BLOCKS, schema_text; print(*map(schema_text, BLOCKS), sep='', end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert done.stdout == "".join(map(schema_text, BLOCKS))
