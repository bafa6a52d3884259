"""The short example of a third party's package: installed, found by its entry point, and true to the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.conformance.package_environment import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conformance.package_environment import Environment

PACKAGE = EXAMPLES / "offline"

pytestmark = pytest.mark.integration


def test_from_a_file_on_the_command_line(environment: Environment, tmp_path: Path) -> None:
    """`infrablocks run` finds the block type of the file by its entry point; the command has no network."""
    file = tmp_path / "offline.yaml"
    file.write_text('type: offline\ncommand: [sh, -c, "cut -s -d: -f1 /proc/net/dev; exit 3"]\n')
    done = environment.run("-m", "infrablocks", "run", str(file), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "    lo\n")


def test_it_is_shown_in_the_documentation() -> None:
    """The page shows the module as it is."""
    page = EXAMPLES.parent.joinpath("docs/how-to/write-a-back-end.md").read_text()
    assert PACKAGE.joinpath("infrablocks_offline.py").read_text() in page
