"""What a run does while the API server has expired every watch: it answers 410 (Gone) again and again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import FAKE
from benchmarks.samples import Samples
from benchmarks.table import Row, at_least, at_most

if TYPE_CHECKING:
    from benchmarks.environments import Environment
    from benchmarks.kubernetes_clusters import KubernetesBench

_STORM_SECONDS = 20.0
_RUN_SECONDS = 25.0
_MOST = 2.0


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Count the requests of each watch, and see whether the run survives."""
    bench = kubernetes.bench
    _, survived = _storm(kubernetes, bench.alternative)
    rate, mine = _storm(kubernetes, bench.own)
    what = f"Kubernetes: every watch is answered with 410 for {_STORM_SECONDS:.0f} s"
    return [
        Row(
            f"{what}: requests of the busier watch",
            None,
            Samples((rate,), "a second"),
            at_most(rate, _MOST, f"≤ {_MOST:.0f} a second"),
        ),
        Row(
            f"{what}: runs that go on to their end",
            Samples((survived,), "of 1"),
            Samples((mine,), "of 1"),
            at_least(mine, 1, "1"),
        ),
    ]


def _storm(kubernetes: KubernetesBench, environment: Environment) -> tuple[float, float]:
    with (
        kubernetes.place(FAKE, nodes=1, run_seconds=_RUN_SECONDS) as place,
        kubernetes.counting(place, storm_seconds=_STORM_SECONDS) as (kubeconfig, _, proxy),
    ):
        figures = kubernetes.run(environment, "kubernetes_one", place, environment.library, kubeconfig=kubeconfig)
        paths = Counter(line.split(" ")[1].partition("?")[0] for line in proxy.stormy)
    counts = [count for path, count in paths.items() if path.endswith(("/jobs", "/pods"))]
    return max(counts, default=0) / _STORM_SECONDS, figures["succeeded"]
