"""How long it takes to get the result of a run that has ended, against the bare calls of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import REAL
from benchmarks.samples import TIMES, Figures, Samples, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.docker_engine import DockerBench
    from benchmarks.kubernetes_clusters import KubernetesBench

_REPETITIONS = 3
_TIMES = 20
_LIMIT = 1.2
_WAYS = {"busy": "by an agent that watches another one", "alone": "by a program that watches none"}


def measure_docker(docker: DockerBench) -> list[Row]:
    """Measure containers."""
    rows = _rows(
        docker.engine,
        docker.bench,
        lambda way, times: docker.run(docker.bench.own, "attach_ended", "docker", way, times, "-"),
    )
    docker.remove_containers()
    return rows


def measure_kubernetes(kubernetes: KubernetesBench) -> list[Row]:
    """Measure Jobs on a real node."""
    with kubernetes.place(REAL) as place:
        return _rows(
            "Kubernetes",
            kubernetes.bench,
            lambda way, times: kubernetes.run(kubernetes.bench.own, "attach_ended", place, "kubernetes", way, times),
        )


def _rows(engine: str, bench: Bench, measure: Callable[[str, str], Figures]) -> list[Row]:
    times = str(3 if bench.quick else _TIMES)
    rows = []
    for way, text in _WAYS.items():
        runs = [measure(way, times) for _ in range(bench.repetitions(_REPETITIONS))]
        multiples = Samples(tuple(run["attach"] / run["calls"] for run in runs), TIMES)
        what = f"{engine}: attach to a run that has ended, {text}"
        rows += [
            Row(f"{what}: time", None, seconds(run["attach"] for run in runs)),
            Row(
                f"{what}: in multiples of the bare calls of the API",
                None,
                multiples,
                at_most(multiples.median, _LIMIT, f"≤ {_LIMIT} {TIMES}"),
            ),
            Row("to compare with: the bare calls of the API, time", None, seconds(run["calls"] for run in runs)),
        ]
    return rows
