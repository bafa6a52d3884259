"""Ctrl-C at any moment ends what was begun, in order: on asyncio and on trio."""

from __future__ import annotations

import pytest

from tests.python_programs import PythonProgram

# Each interrupts itself, at a line where nothing is awaited.
BEGINNING = """
import os, signal, sys, threading, time
import anyio
from infrablocks import sync_compatible
from infrablocks._threads import cancellation_requested, interrupted_at_awaits_only, run_in_worker_thread

async def clean_up_at_an_await():
    signal.raise_signal(signal.SIGINT)
    print("at the next line")
    try:
        await anyio.sleep(300)
    finally:
        print("at an await")
"""

A_PUBLIC_METHOD = """
class Counter:
    @sync_compatible
    async def count(self):
        await clean_up_at_an_await()

main = Counter().count
"""

A_TASK_OF_A_GROUP = """
@sync_compatible
async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(interrupted_at_awaits_only, clean_up_at_an_await)
"""

A_CALL_IN_A_THREAD = """
def wait_for_the_cancellation():
    os.kill(os.getpid(), signal.SIGINT)
    while not cancellation_requested():
        time.sleep(0.002)
    print("at the next line")

@sync_compatible
async def main():
    try:
        await run_in_worker_thread(wait_for_the_cancellation)
    finally:
        print("at an await")
"""

END = """
try:
    anyio.run(main, backend=sys.argv[1])
except BaseException as error:
    while isinstance(error, BaseExceptionGroup):
        error, = error.exceptions
    print(repr(error))
"""


@pytest.mark.parametrize(
    "main", [A_PUBLIC_METHOD, A_TASK_OF_A_GROUP, A_CALL_IN_A_THREAD], ids=["method", "task", "thread"]
)
def test_an_interrupt_comes_at_an_await(anyio_backend: str, main: str) -> None:
    """No line that follows is left out, and a call in a worker thread has ended before the interrupt is raised."""
    with PythonProgram(BEGINNING + main + END, anyio_backend) as program:
        printed, errors = program.communicate()
    assert (printed, errors) == (b"at the next line\nat an await\nKeyboardInterrupt()\n", b"")
