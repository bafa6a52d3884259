"""Many detached processes: started, left, attached to and waited for by one agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.samples import seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_REPETITIONS = 3
_COUNT = 200
_SLEEP = "1"
_LIMIT = 5.0


def measure(bench: Bench) -> list[Row]:
    """Measure from the first start to the last result."""
    count = 20 if bench.quick else _COUNT
    runs = [bench.run(bench.own, "detached", str(count), _SLEEP) for _ in range(bench.repetitions(_REPETITIONS))]
    whole = seconds(run["seconds"] for run in runs)
    what = f"{count} detached processes of `sleep {_SLEEP}`"
    return [
        Row(f"{what}: time until all are started and left", None, seconds(run["started"] for run in runs)),
        Row(
            f"{what}: time until all are started, left, attached to and have ended",
            None,
            whole,
            at_most(whole.median, _LIMIT, f"≤ {_LIMIT:.0f} s"),
        ),
    ]
