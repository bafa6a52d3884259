"""Note what the engines take, for the table at the end of CI."""

import json
import os
import resource
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.processes import stat_of

VARIABLE = "INFRABLOCKS_CI_REPORT"
"""Names the directory whose file times.jsonl gets the notes, a JSON object a line; without it nothing is noted."""


def _own_processor_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


@dataclass
class Stopwatch:
    """Measures from its creation on: seconds that passed, and processor time of this process and its children."""

    _wall: float = field(default_factory=time.monotonic)
    _processor: float = field(default_factory=_own_processor_seconds)

    @property
    def wall(self) -> float:
        """Seconds that have passed."""
        return time.monotonic() - self._wall

    def note(self, engine: str, action: str) -> None:
        """Note what an action took."""
        note(engine, action, wall=self.wall, processor=_own_processor_seconds() - self._processor)


def note(engine: str, action: str, *, wall: float | None, processor: float) -> None:
    """Note what an action took.

    Args:
        engine: The engine's name.
        action: What it did, such as ``up``.
        wall: How many seconds passed; None: not known.
        processor: Seconds of processor time.
    """
    _append({"engine": engine, "action": action, "wall": wall, "processor": processor})


def note_failure(engine: str, action: str, error: Exception) -> None:
    """Note that an action failed."""
    _append({"engine": engine, "action": action, "error": str(error)})


def _append(entry: Mapping[str, Any]) -> None:
    if directory := os.environ.get(VARIABLE):
        with Path(directory, "times.jsonl").open("a") as notes:
            notes.write(json.dumps(entry) + "\n")


def processor_seconds(pids: Iterable[int]) -> float:
    """Return what processes and their ended children have used; those that are gone count for nothing."""
    ticks = 0
    for pid in pids:
        if (fields := stat_of(pid)) is not None:
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")
