"""How long it takes until the processes of a cancelled run have ended, where they ignore SIGTERM, and it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import REAL
from benchmarks.samples import Figures, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.docker_engine import DockerBench
    from benchmarks.kubernetes_clusters import KubernetesBench

_TIMES = 5
_GRACE = 1.0
# Grace period, and for how long a Job runs before it is cancelled, in seconds. A node gives every container two seconds
# at least, whatever it is told, and begins with them only when it is through with starting the pod.
_KUBERNETES_CASES = ((2.0, 3.0), (2.0, 0.0), (1.0, 3.0))
_MARGIN = 1.0
_NO_NAMESPACE = "-"


def measure_processes(bench: Bench) -> list[Row]:
    """Measure processes, and detached ones."""
    names = {"process": "process", "detached": "detached process"}
    return [
        row
        for kind, text in names.items()
        for row in _rows(text, bench.run(bench.own, "cancelled", kind, *_arguments(bench), _NO_NAMESPACE))
    ]


def measure_docker(docker: DockerBench) -> list[Row]:
    """Measure containers."""
    arguments = ("docker", *_arguments(docker.bench), _NO_NAMESPACE)
    figures = docker.run(docker.bench.own, "cancelled", *arguments)
    docker.remove_containers()
    return _rows(docker.engine, figures)


def measure_kubernetes(kubernetes: KubernetesBench) -> list[Row]:
    """Measure Jobs on a real node."""
    rows = []
    with kubernetes.place(REAL) as place:
        for grace, runs_for in _KUBERNETES_CASES:
            arguments = ("kubernetes", *_arguments(kubernetes.bench, grace, runs_for))
            figures = kubernetes.run(kubernetes.bench.own, "cancelled", place, *arguments)
            age = f"a Job that has run for {runs_for:.0f} s" if runs_for else "a Job at its first line"
            rows += _rows(f"Kubernetes, {age}", figures, grace)
    return rows


def _arguments(bench: Bench, grace: float = _GRACE, runs_for: float = 0.0) -> tuple[str, str, str]:
    return str(bench.repetitions(_TIMES)), str(grace), str(runs_for)


def _rows(what: str, figures: Figures, grace: float = _GRACE) -> list[Row]:
    limit, longest = grace + _MARGIN, figures["over_longest"]
    text = f"{what}: cancelled, ignoring SIGTERM, with a grace period of {grace:.0f} s"
    rows = [
        Row(f"{text}: time until its processes have ended", None, seconds([figures["gone"]])),
        Row(f"{text}: time until the run is over", None, seconds([figures["over"]])),
        Row(f"{text}: the longest", None, seconds([longest]), at_most(longest, limit, f"≤ {limit:.0f} s")),
    ]
    if "bare" in figures:
        bare = "to compare with: a bare pod, deleted with that grace period, until its object is gone"
        rows.append(Row(bare, None, seconds([figures["bare"]])))
    return rows
