"""Sixty first uses of the library at once: how many of the runs succeed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import Figures, Samples, interleaved, seconds
from benchmarks.table import Row, at_least

if TYPE_CHECKING:
    from benchmarks.docker_engine import DockerBench
    from benchmarks.environments import Environment

_REPETITIONS = 3
_RUNS = 60
_WAYS = {"threads": "in threads", "tasks": "in tasks of one loop"}


def measure(docker: DockerBench) -> list[Row]:
    """Measure fresh interpreters, in both ways to use the library many times at once."""
    return [row for way in _WAYS for row in _rows(docker, way)]


def _rows(docker: DockerBench, way: str) -> list[Row]:
    bench = docker.bench
    ways = {
        environment.library: partial(_figures, docker, environment, way)
        for environment in (bench.alternative, bench.own)
    }
    figures = interleaved(ways, bench.repetitions(_REPETITIONS))
    succeeded = {name: Samples(tuple(run["succeeded"] for run in runs), "runs") for name, runs in figures.items()}
    times = {name: seconds(run["seconds"] for run in runs) for name, runs in figures.items()}
    what = f"{docker.engine}: {_RUNS} first uses at once, {_WAYS[way]}"
    all_run = at_least(min(succeeded["infrablocks"].values), _RUNS, "all run")
    return [
        Row(f"{what}: runs that succeed", succeeded["prefect"], succeeded["infrablocks"], all_run),
        Row(f"{what}: time for all", times["prefect"], times["infrablocks"]),
    ]


def _figures(docker: DockerBench, environment: Environment, way: str) -> Figures:
    figures = docker.run(environment, "docker_at_once", environment.library, str(_RUNS), way)
    docker.remove_containers()
    return figures
