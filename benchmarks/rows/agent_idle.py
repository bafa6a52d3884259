"""What an agent takes that watches many Jobs to which nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import FAKE
from benchmarks.samples import Samples, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.kubernetes_clusters import KubernetesBench

_COUNT = 1000
_NODES = 20
_RUN_SECONDS = 3600.0
_PERCENT = 0.01
_IDLE_SECONDS = 60.0  # in which every watch gets a bookmark
_SECONDS = 400.0


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Attach to Jobs that other runs have made, and measure the processor time when all are being watched."""
    quick = kubernetes.bench.quick
    count, idle = (100, 10.0) if quick else (_COUNT, _IDLE_SECONDS)
    with kubernetes.place(FAKE, nodes=_NODES, run_seconds=_RUN_SECONDS) as place:
        figures = kubernetes.run(kubernetes.bench.own, "agent_idle", place, str(count), str(idle), timeout=_SECONDS)
    what = f"Kubernetes: {count:,} Jobs that run, attached to by one agent"
    load = Samples((figures["load"],), "% of a core", _PERCENT)
    return [
        Row(f"{what}: processor time while nothing happens", None, load, at_most(figures["load"], _PERCENT, "≤ 1 %")),
        Row(f"{what}: time until all are being watched", None, seconds([figures["settled"]])),
    ]
