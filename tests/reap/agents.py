"""Agents in processes of their own, which can be killed while they watch, and the watch records that they keep."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prints the identifier as soon as the workload is reported, and then watches it.
_PROGRAM = """
import sys, anyio
from infrablocks import DockerContainer, KubernetesJob, KubernetesClusterConfig, Process

class Report:
    def started(self, value):
        print(value, flush=True)

anyio.run(({block}).run, Report())
"""


@contextmanager
def agent(block: str) -> Iterator[tuple[PythonProgram, str]]:
    """Start an agent that runs a block, which is given as an expression; gives it and its workload's identifier."""
    with PythonProgram(_PROGRAM.format(block=block)) as program:
        identifier = program.stdout.readline().decode().strip()
        assert identifier, program.stderr.read().decode()
        yield program, identifier


def killed_agent(block: str) -> str:
    """Have an agent run a block and kill it; gives the identifier of what it has left behind."""
    with agent(block) as (_, identifier):
        return identifier


def watches() -> list[str]:
    """Give the keys of all watch records, those of dead agents included."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "watches")
    if not folder.exists():
        return []
    return sorted(path.name.partition("~")[0] for path in folder.iterdir() if not path.name.startswith("."))
