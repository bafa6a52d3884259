"""What a container costs that does nothing: `true`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import TIMES, Figures, Samples, interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.docker_engine import DockerBench

_REPETITIONS = 5
_RUNS = 10
_LIMITS = {"client": 1.0, "calls": 1.1}
_BASES = {"client": "`docker run --rm`", "calls": "the bare calls of the API"}


def measure(docker: DockerBench) -> list[Row]:
    """Measure runs of `true` in a loop, against the command line and the bare calls in the same minute."""
    bench = docker.bench
    runs = str(3 if bench.quick else _RUNS)
    figures = interleaved(
        {
            environment.library: partial(docker.run, environment, "docker_short_runs", environment.library, runs)
            for environment in (bench.alternative, bench.own)
        },
        bench.repetitions(_REPETITIONS),
    )
    what = f"{docker.engine}: run of `true`"
    times = {library: seconds(run["block"] for run in all_runs) for library, all_runs in figures.items()}
    rows = [Row(f"{what}: time", times["prefect"], times["infrablocks"])]
    for base, name in _BASES.items():
        multiples = {library: _multiples(all_runs, base) for library, all_runs in figures.items()}
        limit = _LIMITS[base]
        target = at_most(multiples["infrablocks"].median, limit, f"≤ {limit:.1f} {TIMES}")
        rows.append(Row(f"{what}: in multiples of {name}", multiples["prefect"], multiples["infrablocks"], target))
    both = [run for all_runs in figures.values() for run in all_runs]
    return [
        *rows,
        *(
            Row(f"to compare with: {name}, time", None, seconds(run[base] for run in both))
            for base, name in _BASES.items()
        ),
    ]


def _multiples(runs: list[Figures], base: str) -> Samples:
    return Samples(tuple(run["block"] / run[base] for run in runs), TIMES)
