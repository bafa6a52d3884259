"""Processes that save at the same time, and processes that are killed while they save.

Everything runs in children of this process, which has no threads: making one takes a millisecond.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING

from infrablocks import Block, Process
from infrablocks.blocks.stores import sqlite_file
from infrablocks.blocks.stores.operations import load_block, save_block

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = 8
SAVES = 25
KILLS = 100
TEXTS = ("a" * 30_000, "b" * 30_000)


def child(work: Callable[[], None]) -> int:
    """Do something in a child of this process, which ends with the status 0 if nothing is raised."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nothing of it may go on in the child
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    return pid


def save_many(writer: int) -> None:
    """Save blocks of this writer's own, and one that all of them fight for."""
    for number in range(SAVES):
        save_block(Process(command=[str(writer), str(number)]), f"w{writer}-n{number}", overwrite=False)
        save_block(Process(command=[str(writer)]), "shared", overwrite=True)


def many_writers() -> dict[str, object]:
    """Have many processes save at once, from the very beginning, when there is no file yet."""
    begin = time.monotonic() + 0.2

    def work(writer: int) -> None:
        time.sleep(max(0.0, begin - time.monotonic()))
        save_many(writer)

    pids = [child(lambda writer=writer: work(writer)) for writer in range(WRITERS)]  # type: ignore[misc]
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    commands = {name: load_block(Process, name).command for name in Process.list()}
    return {"statuses": statuses, "commands": commands}


def kill_writers() -> dict[str, object]:
    """Kill a process that overwrites one block again and again, many times, and look at the block each time."""
    save_block(Process(command=[TEXTS[0]]), "one", overwrite=True)
    sqlite_file.close()
    found = []
    for _ in range(KILLS):
        reading, writing = os.pipe()

        def work(writing: int = writing) -> None:
            os.write(writing, b".")
            while True:
                for text in TEXTS:
                    save_block(Process(command=[text]), "one", overwrite=True)

        pid = child(work)
        os.read(reading, 1)
        time.sleep(random.uniform(0, 0.01))  # when it is killed is to be left to chance
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        text = load_block(Block, "process/one").model_dump()["command"][0]
        found.append({TEXTS[0]: "a", TEXTS[1]: "b"}.get(text, "broken"))
        sqlite_file.close()
    return {"found": found}


sys.stdout.write(json.dumps({"many": many_writers, "killed": kill_writers}[sys.argv[1]]()))
