"""Agents that can be killed: programs that run a block and store each line with its cursor, in one write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.processes import wait_until
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, os, sys
import anyio
from infrablocks import Infrastructure, OutputCursor
from infrablocks.blocks import Block

folder, block = sys.argv[1:]
store = os.open(folder + "/lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
cursor = OutputCursor()

class Started:
    def started(self, value):
        with open(folder + "/new", "w") as file:
            file.write(str(value))
        os.rename(folder + "/new", folder + "/identifier")

def sink(stream, line):
    os.write(store, json.dumps([line, str(cursor)]).encode() + b"\\n")

async def main():
    infrastructure = Infrastructure.from_yaml(block)
    await infrastructure.run(Started(), output=sink, cursor=cursor)

anyio.run(main)
"""


class Agent:
    """A program that runs a block.

    Args:
        folder: Where it stores what it knows.
        block: The YAML file of the block.
    """

    def __init__(self, folder: Path, block: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._program = PythonProgram(PROGRAM, str(folder), str(block))

    def identifier(self) -> str:
        """Wait until the run is reported, and give its identifier."""
        wait_until(self._folder.joinpath("identifier").exists)
        return self._folder.joinpath("identifier").read_text()

    def kill(self) -> None:
        """Kill the program, where it has not ended."""
        self._program.kill()
        self._program.wait()
        self._program.close()

    def stored(self) -> tuple[list[str], str | None]:
        """Give the lines that were stored, and the cursor of the last one."""
        try:
            text = self._folder.joinpath("lines").read_text()
        except FileNotFoundError:
            return [], None
        records = [json.loads(record) for record in text.splitlines(keepends=True) if record.endswith("\n")]
        return [line for line, _ in records], records[-1][1] if records else None
