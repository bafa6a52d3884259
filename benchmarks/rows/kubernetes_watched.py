"""Many Jobs watched at once by one event loop, without streaming, on fake nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import FAKE
from benchmarks.samples import Figures, Samples, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.environments import Environment
    from benchmarks.kubernetes_clusters import KubernetesBench

# The other library has 250 threads, and each of its runs takes one.
_BOTH = 100
_MANY = 2000
_NODES = 20
_SECONDS = 500.0
# How long the pods run: until the last Job is made.
_SHORT_SECONDS = 10.0
_LONG_SECONDS = 60.0
_CONNECTIONS = 3
_MEBIBYTE = 2**20
_STALL_SECONDS = 0.100
_CPU_SECONDS = 0.025
_NAMES = {
    "connections": "connections of the agent",
    "threads": "threads of the agent",
    "bytes": "memory of the agent for each",
    "cpu": "processor time of the agent for each",
    "stall": "longest stall of the loop",
    "seconds": "time until all have ended",
}


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Measure as many as the other library can watch, and then the many."""
    bench = kubernetes.bench
    both, many = (10, 200) if bench.quick else (_BOTH, _MANY)
    other, ours = (
        [_figures(kubernetes, environment, both, _SHORT_SECONDS)] for environment in (bench.alternative, bench.own)
    )
    run_seconds = _SHORT_SECONDS if bench.quick else _LONG_SECONDS
    alone = [_figures(kubernetes, bench.own, many, run_seconds)]
    frozen = [_figures(kubernetes, bench.own, many, run_seconds, frozen=True)]
    return [*_rows(both, other, ours), *_rows(many, None, alone), *_rows(many, None, frozen, "gc.freeze() called, ")]


def _rows(count: int, alternative: list[Figures] | None, ours: list[Figures], how: str = "") -> list[Row]:
    what = f"Kubernetes: {count:,} Jobs that run, {how}watched at once"
    mine, other = _samples(ours), None if alternative is None else _samples(alternative)
    targets = {
        "connections": at_most(mine["connections"].median, _CONNECTIONS, f"≤ {_CONNECTIONS}"),
        "bytes": at_most(mine["bytes"].median, _MEBIBYTE, "≤ 1 MiB"),
        "cpu": at_most(mine["cpu"].median, _CPU_SECONDS, "≤ 25 ms"),
        "stall": at_most(mine["stall"].median, _STALL_SECONDS, "≤ 100 ms"),
    }
    return [
        Row(f"{what}: {text}", None if other is None else other[name], mine[name], targets.get(name))
        for name, text in _NAMES.items()
    ]


def _samples(runs: list[Figures]) -> dict[str, Samples]:
    return {
        "connections": Samples(tuple(run["connections"] for run in runs), "connections"),
        "threads": Samples(tuple(run["threads"] for run in runs), "threads"),
        "bytes": Samples(tuple(run["bytes"] for run in runs), "MiB", _MEBIBYTE),
        **{name: seconds(run[name] for run in runs) for name in ("cpu", "stall", "seconds")},
    }


def _figures(
    kubernetes: KubernetesBench, environment: Environment, count: int, run_seconds: float, *, frozen: bool = False
) -> Figures:
    """Measure in a namespace of its own, so that no Job of before is listed."""
    with kubernetes.place(FAKE, nodes=_NODES, run_seconds=run_seconds) as place:
        arguments = (environment.library, str(count), "frozen" if frozen else "not")
        return kubernetes.run(environment, "kubernetes_watched", place, *arguments, timeout=_SECONDS)
