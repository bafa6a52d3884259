"""What a run costs that does nothing: `true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.samples import TIMES, Figures, Samples, interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_REPETITIONS = 7
_RUNS = 200
_LIMIT = 1.5
_WAYS = {"loop": "awaited in a loop", "script": "called from a script"}
_BASES = {
    "piped": "`subprocess.run(capture_output=True)`",
    "plain": "plain `subprocess.run`",
    "alike": "`subprocess.run` in a session and a temporary folder of its own",
}
# The last one is there to compare with: it shows what the folder costs.
_TARGETS = ("piped", "plain")


def measure(bench: Bench) -> list[Row]:
    """Measure runs of `true`, in both ways to make them, against `subprocess.run` in the same interpreter."""
    return [row for way in _WAYS for row in _rows(bench, way)]


def _rows(bench: Bench, way: str) -> list[Row]:
    runs = str(20 if bench.quick else _RUNS)
    figures = interleaved(
        {
            "prefect": lambda: bench.run(bench.alternative, "short_runs", "prefect", way, runs),
            "infrablocks": lambda: bench.run(bench.own, "short_runs", "infrablocks", way, runs),
        },
        bench.repetitions(_REPETITIONS),
    )
    what = f"run of `true`, {_WAYS[way]}"
    times = {library: seconds(run["block"] for run in all_runs) for library, all_runs in figures.items()}
    rows = [Row(f"{what}: time", times["prefect"], times["infrablocks"])]
    for base, name in _BASES.items():
        multiples = {library: _multiples(all_runs, base) for library, all_runs in figures.items()}
        reached = at_most(multiples["infrablocks"].median, _LIMIT, f"≤ {_LIMIT} {TIMES}")
        target = reached if base in _TARGETS else None
        rows.append(Row(f"{what}: in multiples of {name}", multiples["prefect"], multiples["infrablocks"], target))
    return rows


def _multiples(runs: list[Figures], base: str) -> Samples:
    return Samples(tuple(run["block"] / run[base] for run in runs), TIMES)
