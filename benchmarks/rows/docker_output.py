"""How fast the output of a container passes through a run: 200 MB of lines into the null device."""

from __future__ import annotations

import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.rows.output import FILE_BYTES, write_lines
from benchmarks.samples import TIMES, Samples, interleaved
from benchmarks.scripts.library import IMAGE, LABEL
from benchmarks.table import Row, at_least

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.docker_engine import DockerBench
    from benchmarks.environments import Environment

_REPETITIONS = 5
_COPIES = 20
_SECONDS = 120.0
_MEGABYTE = 1e6


def measure(docker: DockerBench) -> list[Row]:
    """Measure the throughput of whole runs, the making of the container included, of the command line's as well."""
    bench = docker.bench
    lines = write_lines(bench.directory / "lines.txt")
    copies = 3 if bench.quick else _COPIES
    ways = {
        environment.library: partial(_megabytes_a_second, docker, environment, lines, copies)
        for environment in (bench.alternative, bench.own)
    }
    ways["client"] = partial(_by_client, docker, lines, copies)
    speeds = {
        way: Samples(tuple(values), "MB/s")
        for way, values in interleaved(ways, bench.repetitions(_REPETITIONS)).items()
    }
    multiples = {
        library: Samples(tuple(value / speeds["client"].median for value in speeds[library].values), TIMES)
        for library in ("prefect", "infrablocks")
    }
    what = f"{docker.engine}: output, {FILE_BYTES * copies / _MEGABYTE:.0f} MB of lines to `/dev/null`"
    target = at_least(multiples["infrablocks"].median, 1.0, f"≥ 1.0 {TIMES}")
    return [
        Row(what, speeds["prefect"], speeds["infrablocks"]),
        Row(f"{what}: in multiples of `docker run`", multiples["prefect"], multiples["infrablocks"], target),
        Row("to compare with: `docker run`", None, speeds["client"]),
    ]


def _megabytes_a_second(docker: DockerBench, environment: Environment, lines: Path, copies: int) -> float:
    figures = docker.run(environment, "docker_output", environment.library, str(lines), str(copies))
    docker.remove_containers()  # with their logs
    return FILE_BYTES * copies / _MEGABYTE / figures["seconds"]


def _by_client(docker: DockerBench, lines: Path, copies: int) -> float:
    # Without --rm: the blocks' containers are not removed within the measured time either.
    options = ["--pull", "never", "--label", f"{LABEL}=1", "--volume", f"{lines}:/lines.txt:ro"]
    started = time.perf_counter()
    subprocess.run(
        ["docker", "--host", docker.host, "run", *options, IMAGE, "cat", *["/lines.txt"] * copies],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=_SECONDS,
    )
    elapsed = time.perf_counter() - started
    docker.remove_containers()
    return FILE_BYTES * copies / _MEGABYTE / elapsed
