"""Processes that save at the same time, and processes that are killed while they save.

Everything runs in children of this process, which has no threads: making one takes a millisecond.
"""

from __future__ import annotations

import itertools
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
    found, ahead = [], []
    for kill in range(KILLS):
        reading, writing = os.pipe()

        def work(reading: int = reading, writing: int = writing) -> None:
            os.close(reading)
            for number in itertools.count(1):
                save_block(Process(command=[TEXTS[number % 2], str(number)]), "one", overwrite=True)
                os.write(writing, b".")

        pid = child(work)
        os.close(writing)
        # After the first save or the second: so the turn of either text comes, however long a save takes.
        saved, took = 0, 0.0
        for _ in range(1 + kill % 2):
            began = time.monotonic()
            saved += len(os.read(reading, 1))
            took = time.monotonic() - began
        time.sleep(random.uniform(0, min(2 * took, 0.05)))  # when it is killed is to be left to chance
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while told := os.read(reading, 4096):
            saved += len(told)
        os.close(reading)
        text, number = load_block(Block, "process/one").model_dump()["command"]
        found.append({TEXTS[0]: "a", TEXTS[1]: "b"}.get(text, "broken"))
        ahead.append(int(number) - saved)
        sqlite_file.close()
    return {"found": found, "ahead": ahead}


sys.stdout.write(json.dumps({"many": many_writers, "killed": kill_writers}[sys.argv[1]]()))
