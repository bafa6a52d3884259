"""The command line in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import CommandLineHere

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def infrablocks(tmp_path: Path) -> Iterator[CommandLineHere]:
    command_line = CommandLineHere(tmp_path)
    yield command_line
    command_line.end_all()
