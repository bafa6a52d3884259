"""Several processes that save at the same time, and processes that are killed meanwhile."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from infrablocks import Process
from tests.python_programs import PythonProgram

SCRIPT = Path(__file__).with_name("store_writers.py")


def report(what: str) -> Any:
    """Run the script and give what it tells, at its end; each of its many saves waits for a disk that may be busy."""
    with PythonProgram(SCRIPT.read_text(), what) as program:
        told, errors = program.communicate(silence=240)
    assert errors == b""
    return json.loads(told)


def test_eight_processes_save_at_once() -> None:
    """Nothing is lost, none fails, and what all of them save is one of what they saved."""
    told = report("many")
    assert told["statuses"] == [0] * 8
    shared = told["commands"].pop("shared")
    assert shared in [[str(writer)] for writer in range(8)]
    assert told["commands"] == {
        f"w{writer}-n{number}": [str(writer), str(number)] for writer in range(8) for number in range(25)
    }


def test_a_process_killed_while_it_saves() -> None:
    """100 times the store opens afterwards and holds the old block or the new one, whole, and both are seen."""
    told = report("killed")
    assert len(told["found"]) == 100
    # Two blocks take turns, so that either of them is at times the old one and at times the new one.
    assert set(told["found"]) == {"a", "b"}
    # The last save that was reported is kept, or the one that was not yet.
    assert set(told["ahead"]) <= {0, 1}
    assert Process.list() == ["one"]
    with closing(sqlite3.connect(Path(os.environ["INFRABLOCKS_HOME"], "blocks.db"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_fork_has_a_connection_of_its_own() -> None:
    """A child that was forked while its parent used the store can use it, and so can the parent afterwards."""
    script = (
        "import os, sys\n"
        "from infrablocks import Process\n"
        "from infrablocks.blocks.stores.operations import load_block, save_block\n"
        "save_block(Process(command=['parent']), 'a', overwrite=False)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    save_block(Process(command=['child']), 'b', overwrite=False)\n"
        "    sys.exit(0 if load_block(Process, 'a').command == ['parent'] else 1)\n"
        "status = os.waitpid(pid, 0)[1]\n"
        "save_block(Process(command=['parent']), 'c', overwrite=False)\n"
        "sys.stdout.write(f'{status} {Process.list()}')\n"
    )
    with PythonProgram(script) as program:
        assert program.communicate() == (b"0 ['a', 'b', 'c']", b"")
