"""What it costs to save, load and list blocks in the default store."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.samples import seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_REPETITIONS = 5
_BLOCKS = 1000
_ONE_BLOCK = 2e-3
_ALL_BLOCKS = 50e-3
_WHAT = {
    "save": "saving a `Process` block, called from a script: time",
    "load": "loading a `Process` block, called from a script: time",
    "save container": "saving a `DockerContainer` block, called from a script: time",
    "load container": "loading a `DockerContainer` block, called from a script: time",
    "list": f"listing {_BLOCKS:,} blocks, called from a script: time",
}


def measure(bench: Bench) -> list[Row]:
    """Measure the calls of the store; there is no other library to compare with that keeps blocks in a file."""
    runs = []
    for _ in range(bench.repetitions(_REPETITIONS)):
        home = bench.directory / "store"
        runs.append(bench.run(bench.own, "stores", str(home), str(_BLOCKS)))
        shutil.rmtree(home)
    rows = []
    for name, what in _WHAT.items():
        times = seconds(run[name] for run in runs)
        limit = _ALL_BLOCKS if name == "list" else _ONE_BLOCK
        rows.append(Row(what, None, times, at_most(times.median, limit, f"≤ {limit * 1000:.0f} ms")))
    return rows
