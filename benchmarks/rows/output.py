"""How fast output passes through a run: 500 MB of lines, into the null device and into a pipe."""

from __future__ import annotations

import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import TIMES, Samples, interleaved
from benchmarks.table import Row, at_least

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.environments import Environment

_REPETITIONS = 7
_LINE = b"A line of some eighty characters, such as a program prints that logs a lot ...\n"
# The processor's cache holds the file, so that printing it costs next to nothing; `cat` prints it again and again.
FILE_BYTES = 10_000_000
_COPIES = 50
_MEGABYTE = 1e6
_LEAST = 300.0
_LEAST_RATIO = 1.5


def measure(bench: Bench) -> list[Row]:
    """Measure the throughput into both sinks, and what the producer and the reader of the pipe could do without us."""
    lines = write_lines(bench.directory / "lines.txt")
    copies = 5 if bench.quick else _COPIES
    ways = {
        f"{environment.library}, {sink}": partial(_megabytes_a_second, bench, environment, sink, lines, copies)
        for sink in ("null", "pipe")
        for environment in (bench.alternative, bench.own)
    }
    ways["nobody, pipe"] = partial(_without_library, lines, copies)
    speeds = {
        way: Samples(tuple(values), "MB/s")
        for way, values in interleaved(ways, bench.repetitions(_REPETITIONS)).items()
    }
    size = f"{FILE_BYTES * copies / _MEGABYTE:.0f} MB of lines"
    return [
        _row(f"output: {size} to `/dev/null`", speeds["prefect, null"], speeds["infrablocks, null"]),
        _row(f"output: {size} to a pipe", speeds["prefect, pipe"], speeds["infrablocks, pipe"]),
        Row("to compare with: the same command straight into that pipe", None, speeds["nobody, pipe"]),
    ]


def write_lines(path: Path) -> Path:
    """Write `FILE_BYTES` of lines into a file, and give its path."""
    path.write_bytes((_LINE * (FILE_BYTES // len(_LINE) + 1))[: FILE_BYTES - 1] + b"\n")
    return path


def _row(what: str, alternative: Samples, ours: Samples) -> Row:
    least = max(_LEAST, _LEAST_RATIO * alternative.median)
    return Row(
        what, alternative, ours, at_least(ours.median, least, f"≥ 300 MB/s and ≥ {_LEAST_RATIO} {TIMES} prefect")
    )


def _megabytes_a_second(bench: Bench, environment: Environment, sink: str, lines: Path, copies: int) -> float:
    arguments = (environment.library, str(lines), str(copies))
    size = FILE_BYTES * copies
    if sink == "null":
        return size / _MEGABYTE / bench.run(environment, "output", *arguments)["seconds"]
    with subprocess.Popen(["wc", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        if reader.stdin is None or reader.stdout is None:
            raise SystemExit("the reader has no pipes")
        figures = bench.run(environment, "output", *arguments, stdout=reader.stdin)
        reader.stdin.close()
        arrived = int(reader.stdout.read())
    if arrived != size:
        raise SystemExit(f"{environment.library}: {arrived:,} of {size:,} bytes have arrived")
    return size / _MEGABYTE / figures["seconds"]


def _without_library(lines: Path, copies: int) -> float:
    started = time.perf_counter()
    with subprocess.Popen(["wc", "-c"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        subprocess.run(["cat", *[str(lines)] * copies], check=True, stdout=reader.stdin, timeout=120)
    return FILE_BYTES * copies / _MEGABYTE / (time.perf_counter() - started)
