"""A program whose run was cancelled can end at once, whatever still goes on in its workload."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from infrablocks import InfrastructureNotFound
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cancellation.conftest import MakeBlock

pytestmark = pytest.mark.integration

PROGRAM = """
import sys, threading
from functools import partial
import anyio
from infrablocks import Infrastructure

printed = threading.Event()

async def main():
    run = partial(Infrastructure.from_yaml(sys.argv[1]).run, output=lambda stream, line: printed.set())
    async with anyio.create_task_group() as tasks:
        print(await tasks.start(run), flush=True)
        await anyio.to_thread.run_sync(printed.wait)
        tasks.cancel_scope.cancel()
    print("cancelled", flush=True)

anyio.run(main)
"""
# A thread that keeps the interpreter reads for as long as there is output, which is for ever.
END_SECONDS = 15


def test_end_after_a_cancelled_run(left_block: MakeBlock, tmp_path: Path) -> None:
    """The interpreter ends at once, though output is on its way (PITFALL 19)."""
    path = tmp_path / "block.yaml"
    block = left_block("while :; do echo running; sleep 0.05; done")
    block.to_yaml(path)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        identifier = program.stdout.readline().strip()
        assert program.stdout.readline() == "cancelled\n"
        begun = time.monotonic()
        assert program.wait(WAIT_SECONDS) == 0
        took = time.monotonic() - begun
    with suppress(InfrastructureNotFound):  # a process that is not detached ends when nobody reads its pipe
        block.kill(identifier, grace_seconds=0)
    assert took < END_SECONDS
