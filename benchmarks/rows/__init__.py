"""The rows of the table: a module for each group of them, with a function `measure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import (
    docker_first_uses,
    docker_output,
    docker_requests,
    docker_short,
    docker_watched,
    imports,
    many_runs,
    output,
    short_runs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.docker_engine import DockerBench
    from benchmarks.table import Row

GROUPS: dict[str, Callable[[Bench], list[Row]]] = {
    "import": imports.measure,
    "short": short_runs.measure,
    "output": output.measure,
    "many": many_runs.measure,
}
"""Those that need nothing but the machine."""

DOCKER_GROUPS: dict[str, Callable[[DockerBench], list[Row]]] = {
    "docker-short": docker_short.measure,
    "docker-output": docker_output.measure,
    "docker-requests": docker_requests.measure,
    "docker-first-uses": docker_first_uses.measure,
    "docker-watched": docker_watched.measure,
}
"""Those that need a Docker engine."""
