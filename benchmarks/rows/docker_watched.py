"""Many containers watched at once by one event loop, without streaming."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import Figures, Samples, interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.docker_engine import DockerBench
    from benchmarks.environments import Environment

_REPETITIONS = 2
# The other library cannot watch 300: it has 250 threads, and each of its runs takes one.
_BOTH = 100
_MANY = 300
_CONNECTIONS = 3
_MEBIBYTE = 2**20
_SECONDS = 600.0


def measure(docker: DockerBench) -> list[Row]:
    """Measure the connections, the threads and the memory while all run, and the longest stall of the loop."""
    bench = docker.bench
    both, many = (10, 20) if bench.quick else (_BOTH, _MANY)
    ways = {
        environment.library: partial(_figures, docker, environment, both)
        for environment in (bench.alternative, bench.own)
    }
    few = interleaved(ways, bench.repetitions(_REPETITIONS))
    alone = [_figures(docker, bench.own, many)]
    return [*_rows(docker, both, few["prefect"], few["infrablocks"]), *_rows(docker, many, None, alone)]


def _rows(docker: DockerBench, count: int, alternative: list[Figures] | None, ours: list[Figures]) -> list[Row]:
    what = f"{docker.engine}: {count} containers that wait, watched at once"
    mine, other = _samples(ours), None if alternative is None else _samples(alternative)
    targets = {
        "connections": at_most(mine["connections"].median, _CONNECTIONS, f"≤ {_CONNECTIONS}"),
        "threads": None,
        "bytes": at_most(mine["bytes"].median, _MEBIBYTE, "≤ 1 MiB"),
        "stall": None,
        "made": None,
        "rest": None,
    }
    names = {
        "connections": "connections to the engine",
        "threads": "threads of the agent",
        "bytes": "memory of the agent for each",
        "stall": "longest stall of the loop",
        "made": "time until all run",
        "rest": "time from then until all have ended",
    }
    return [
        Row(f"{what}: {names[name]}", None if other is None else other[name], mine[name], targets[name])
        for name in names
    ]


def _samples(runs: list[Figures]) -> dict[str, Samples]:
    return {
        "connections": Samples(tuple(run["connections"] for run in runs), "connections"),
        "threads": Samples(tuple(run["threads"] for run in runs), "threads"),
        "bytes": Samples(tuple(run["bytes"] for run in runs), "MiB", _MEBIBYTE),
        "stall": seconds(run["stall"] for run in runs),
        "made": seconds(run["made"] for run in runs),
        "rest": seconds(run["seconds"] - run["made"] for run in runs),
    }


def _figures(docker: DockerBench, environment: Environment, count: int) -> Figures:
    arguments = (environment.library, str(count), str(docker.bench.directory))
    figures = docker.run(environment, "docker_watched", *arguments, timeout=_SECONDS)
    docker.remove_containers()
    return figures
