"""Many runs at once in one event loop: 1,000 processes `sleep 1`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import TIMES, Samples, interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_REPETITIONS = 5
_RUNS = 1000
# So long that all of them run at the same time, which `sleep 1` does not give where starting them takes a second.
_LONG_SLEEP = "6"
_LONG_REPETITIONS = 3
_SECONDS = 2.0
_STALL_SECONDS = 0.1
_KIBIBYTE = 1024
_BYTES = 64 * _KIBIBYTE


def measure(bench: Bench) -> list[Row]:
    """Measure the time, the longest stall of the loop, and by how much the program's memory grows for each process."""
    count = 100 if bench.quick else _RUNS
    ways = {
        "prefect": partial(bench.run, bench.alternative, "many_runs", "prefect", str(count)),
        "infrablocks": partial(bench.run, bench.own, "many_runs", "infrablocks", str(count)),
        "subprocess": partial(bench.run, bench.own, "many_popens", str(count)),
    }
    short = interleaved({name: partial(run, "1") for name, run in ways.items()}, bench.repetitions(_REPETITIONS))
    del ways["subprocess"]
    long = interleaved(
        {name: partial(run, _LONG_SLEEP) for name, run in ways.items()}, bench.repetitions(_LONG_REPETITIONS)
    )
    times = {name: seconds(run["seconds"] for run in runs) for name, runs in short.items()}
    stalls = {name: seconds(run["stall"] for run in short[name]) for name in ways}
    memory = {name: Samples(tuple(run["bytes"] for run in runs), "KiB", _KIBIBYTE) for name, runs in long.items()}
    return _rows(count, times, stalls, memory)


def _rows(count: int, times: dict[str, Samples], stalls: dict[str, Samples], memory: dict[str, Samples]) -> list[Row]:
    what = f"{count:,} {TIMES} `sleep 1` at once"
    return [
        Row(
            f"{what}: time",
            times["prefect"],
            times["infrablocks"],
            at_most(times["infrablocks"].median, _SECONDS, f"≤ {_SECONDS:g} s"),
        ),
        Row(f"to compare with: {count:,} bare `subprocess.Popen` in four threads, time", None, times["subprocess"]),
        Row(
            f"{what}: longest stall of the loop",
            stalls["prefect"],
            stalls["infrablocks"],
            at_most(stalls["infrablocks"].median, _STALL_SECONDS, "< 100 ms"),
        ),
        Row(
            f"{count:,} processes that run: memory of the agent for each",
            memory["prefect"],
            memory["infrablocks"],
            at_most(memory["infrablocks"].median, _BYTES, "≤ 64 KiB"),
        ),
    ]
