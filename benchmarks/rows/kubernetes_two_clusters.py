"""Runs on two clusters at once in one program: which cluster their Jobs are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import FAKE, REAL
from benchmarks.samples import Samples
from benchmarks.table import Row, Target

if TYPE_CHECKING:
    from benchmarks.environments import Environment
    from benchmarks.kubernetes_clusters import KubernetesBench

_EACH = 10
_NAMES = {"first": "Jobs on the first", "second": "Jobs on the second", "succeeded": "runs that succeed"}


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Count the Jobs, and the runs that succeed."""
    bench = kubernetes.bench
    figures = {environment.library: _figures(kubernetes, environment) for environment in (bench.alternative, bench.own)}
    wanted = {"first": _EACH, "second": _EACH, "succeeded": 2 * _EACH}
    what = f"Kubernetes: {_EACH} runs on each of two clusters, all at once"
    return [
        Row(
            f"{what}: {text}",
            Samples((figures["prefect"][name],), "runs"),
            Samples((figures["infrablocks"][name],), "runs"),
            Target(str(wanted[name]), figures["infrablocks"][name] == wanted[name]),
        )
        for name, text in _NAMES.items()
    ]


def _figures(kubernetes: KubernetesBench, environment: Environment) -> dict[str, float]:
    with kubernetes.places(REAL, FAKE, nodes=1, run_seconds=0.5, shared=True) as (first, second):
        arguments = (environment.library, str(_EACH), first.kubeconfig, second.kubeconfig)
        return dict(kubernetes.run(environment, "kubernetes_two_clusters", first, *arguments))
