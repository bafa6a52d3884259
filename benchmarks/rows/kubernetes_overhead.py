"""What a run adds to the time that its Job takes by itself, on a real node."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import REAL
from benchmarks.samples import interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.kubernetes_clusters import KubernetesBench

_REPETITIONS = 2
_RUNS = 3
_LIMIT = 0.150


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Measure runs of `true` in a loop, beside a watch that notes when each Job is there and has ended."""
    bench = kubernetes.bench
    runs = str(1 if bench.quick else _RUNS)
    with kubernetes.place(REAL) as place:
        ways = {
            environment.library: partial(
                kubernetes.run, environment, "kubernetes_overhead", place, environment.library, runs
            )
            for environment in (bench.alternative, bench.own)
        }
        figures = interleaved(ways, bench.repetitions(_REPETITIONS))
    times = {
        name: {library: seconds(run[name] for run in figures[library]) for library in ways}
        for name in ("run", "job", "overhead")
    }
    overhead = times["overhead"]
    target = at_most(overhead["infrablocks"].median, _LIMIT, "≤ 150 ms")
    what = "Kubernetes: run of `true`, streaming"
    return [
        Row(f"{what}: time", times["run"]["prefect"], times["run"]["infrablocks"]),
        Row(
            f"{what}: time beyond that from the making to the end of its Job, as another watch hears of both",
            overhead["prefect"],
            overhead["infrablocks"],
            target,
        ),
        Row(
            "to compare with: time from the making to the end of the Job",
            times["job"]["prefect"],
            times["job"]["infrablocks"],
        ),
    ]
