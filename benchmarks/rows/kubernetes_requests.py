"""How many requests the runs send to the API server, counted on their way there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.kubernetes_clusters import FAKE
from benchmarks.samples import Samples
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.environments import Environment
    from benchmarks.kubernetes_clusters import KubernetesBench, Place

_IN_TURN = 4
_AT_ONCE = 10
_RUN_SECONDS = 0.1
# The list and the watch of Jobs and of pods, which all runs of a program share.
_WATCH = re.compile(r"GET \S+/(jobs|pods)")
_WAYS = {"quiet": ("not streaming", 3), "streaming": ("streaming", 4), "secret": ("not streaming, with a Secret", 4)}


@dataclass(frozen=True)
class _Counts:
    """What one program has sent."""

    runs: float
    watch: float
    connections: float


def measure(kubernetes: KubernetesBench) -> list[Row]:
    """Count the requests and the connections of a program's first run, and of each further one."""
    with kubernetes.place(FAKE, nodes=1, run_seconds=_RUN_SECONDS) as place:
        return [*(row for way in _WAYS for row in _rows(kubernetes, place, way)), *_together(kubernetes, place)]


def _rows(kubernetes: KubernetesBench, place: Place, way: str) -> list[Row]:
    bench = kubernetes.bench
    ours = _first_and_further(kubernetes, place, bench.own, way)
    # The other library makes no Secrets.
    other = None if way == "secret" else _first_and_further(kubernetes, place, bench.alternative, way)
    rows = []
    for index, when in enumerate(("first of a program", "each further one")):
        text, most = _WAYS[way]
        what = f"Kubernetes: requests of a run of `true`, {text}: {when}"
        rows.append(_row(what, None if other is None else other[index].runs, ours[index].runs, most))
        if way != "secret":
            rows.append(_row(f"{what}: of the shared watch besides", None, ours[index].watch))
            theirs = None if other is None else other[index].connections
            rows.append(_row(f"{what}: connections made", theirs, ours[index].connections))
    return rows


def _together(kubernetes: KubernetesBench, place: Place) -> list[Row]:
    bench = kubernetes.bench
    other, ours = (
        _counts(kubernetes, place, environment, "together", _AT_ONCE) for environment in (bench.alternative, bench.own)
    )
    what = f"Kubernetes: {_AT_ONCE} runs of `true` at once, not streaming"
    return [
        _row(f"{what}: requests of all", other.runs, ours.runs, 3 * _AT_ONCE),
        _row(f"{what}: requests of the shared watch besides", None, ours.watch),
        _row(f"{what}: connections made", other.connections, ours.connections),
    ]


def _first_and_further(
    kubernetes: KubernetesBench, place: Place, environment: Environment, way: str
) -> tuple[_Counts, _Counts]:
    first, several = (_counts(kubernetes, place, environment, way, runs) for runs in (1, _IN_TURN))
    further = _Counts(
        *((getattr(several, name) - getattr(first, name)) / (_IN_TURN - 1) for name in ("runs", "watch", "connections"))
    )
    return first, further


def _counts(kubernetes: KubernetesBench, place: Place, environment: Environment, way: str, runs: int) -> _Counts:
    with kubernetes.counting(place) as (kubeconfig, requests, _):
        arguments = (environment.library, way, str(runs))
        kubernetes.run(environment, "kubernetes_requests", place, *arguments, kubeconfig=kubeconfig)
        lines, connections = requests.take(), requests.take_connections()
    # Each run of the other library lists and watches by itself.
    watch = [line for line in lines if environment.library == "infrablocks" and _WATCH.fullmatch(line)]
    return _Counts(len(lines) - len(watch), len(watch), connections)


def _row(what: str, alternative: float | None, ours: float, most: int | None = None) -> Row:
    unit = "connections" if "connections" in what else "requests"
    return Row(
        what,
        None if alternative is None else Samples((alternative,), unit),
        Samples((ours,), unit),
        None if most is None else at_most(ours, most, f"≤ {most}"),
    )
