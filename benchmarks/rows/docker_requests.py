"""How many requests the runs send to the engine, counted on their way there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.docker_engine import client
from benchmarks.samples import Samples, interleaved
from benchmarks.scripts.library import IMAGE, LABEL
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.docker_engine import DockerBench
    from benchmarks.environments import Environment

_REPETITIONS = 2
_IN_TURN = 11
_NAMESAKES = 20
_NAMESAKES_ARGUMENTS = (str(_NAMESAKES), "tasks", "namesake")
_MOST_REQUESTS = 6
_MOST_CREATES = 60
_CREATE = "POST /containers/create"
_WAYS = {"streaming": "streaming", "quiet": "not streaming"}


def measure(docker: DockerBench) -> list[Row]:
    """Count the requests of single runs, and those for making containers of the same name at once."""
    return [*(row for way in _WAYS for row in _single_runs(docker, way)), _of_client(docker), _namesakes(docker)]


def _single_runs(docker: DockerBench, way: str) -> list[Row]:
    def count(environment: Environment, runs: int) -> Callable[[], float]:
        return partial(_requests, docker, environment, "docker_in_turn", environment.library, way, str(runs))

    both = (docker.bench.alternative, docker.bench.own)
    repetitions = docker.bench.repetitions(_REPETITIONS)
    first = interleaved({environment.library: count(environment, 1) for environment in both}, repetitions)
    many = interleaved({environment.library: count(environment, _IN_TURN) for environment in both}, repetitions)
    further = {
        library: [(value - one) / (_IN_TURN - 1) for value, one in zip(values, first[library], strict=True)]
        for library, values in many.items()
    }
    what = f"{docker.engine}: requests of a run of `true`, {_WAYS[way]}, removed at its end"
    return [
        _row(f"{what}: first of a program", first, _MOST_REQUESTS),
        _row(f"{what}: each further one", further, _MOST_REQUESTS),
    ]


def _of_client(docker: DockerBench) -> Row:
    with docker.counting() as (host, requests):
        client(host, "run", "--rm", "--pull", "never", "--label", f"{LABEL}=1", IMAGE, "true")
        count = len(requests.take())
    return Row("to compare with: requests of `docker run --rm`", None, Samples((count,), "requests"))


def _namesakes(docker: DockerBench) -> Row:
    ways = {
        environment.library: partial(
            _requests, docker, environment, "docker_at_once", environment.library, *_NAMESAKES_ARGUMENTS, only=_CREATE
        )
        for environment in (docker.bench.alternative, docker.bench.own)
    }
    counts = interleaved(ways, docker.bench.repetitions(_REPETITIONS))
    return _row(
        f"{docker.engine}: {_NAMESAKES} containers of the same name at once: calls that make one", counts, _MOST_CREATES
    )


def _requests(docker: DockerBench, environment: Environment, script: str, *arguments: str, only: str = "") -> float:
    with docker.counting() as (host, requests):
        docker.run(environment, script, *arguments, host=host)
        lines = requests.take()
    docker.remove_containers()
    return sum(line.startswith(only) for line in lines)


def _row(what: str, counts: dict[str, list[float]], most: int) -> Row:
    samples = {library: Samples(tuple(values), "requests") for library, values in counts.items()}
    target = at_most(samples["infrablocks"].median, most, f"≤ {most}")
    return Row(what, samples["prefect"], samples["infrablocks"], target)
