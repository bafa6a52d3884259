"""The example of a third party's package: installed, found by its entry point, and true to the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.integration.conformance.package_environment import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conformance.package_environment import Environment

PACKAGE = EXAMPLES / "sandbox"

pytestmark = pytest.mark.integration


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    file = tmp_path / "offline.yaml"
    script = "cut -s -d: -f1 /proc/net/dev; echo $WORD; exit 3"
    fields = {"type": "sandbox", "folder": str(tmp_path / "runs"), "command": ["sh", "-c", script]}
    file.write_text(yaml.safe_dump(fields))
    return file


def test_from_the_command_line(environment: Environment, yaml_file: Path) -> None:
    """`infrablocks run` finds the block type of the file by its entry point; the command has no network."""
    done = environment.run("-m", "infrablocks", "run", str(yaml_file), "--env", "WORD=hello", cwd=yaml_file.parent)
    assert (done.returncode, done.stdout) == (3, "    lo\nhello\n")
    done = environment.run("-m", "infrablocks", "preview", str(yaml_file), cwd=yaml_file.parent)
    assert done.stdout.startswith("env unshare --map-root-user --net sh -c ")


def test_from_python(environment: Environment, yaml_file: Path) -> None:
    """A program reads the file without an import of the package."""
    code = "import sys; from infrablocks import Block; print(repr(Block.from_yaml(sys.argv[1]).run().reason))"
    done = environment.run("-c", code, str(yaml_file), cwd=yaml_file.parent)
    assert done.stdout == "    lo\n\n<Reason.ERROR: 'Error'>\n"
