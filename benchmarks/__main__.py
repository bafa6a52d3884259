"""The command: `python -m benchmarks [ROW …] [--quick] [--write docs/performance.md]`, run from the checkout."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import bench, progress
from benchmarks.docker_engine import ENGINES, docker_bench
from benchmarks.environments import alternative_environment, cache_directory, own_environment
from benchmarks.kubernetes_clusters import kubernetes_bench
from benchmarks.machine import machine_facts
from benchmarks.report import write_section
from benchmarks.rows import DOCKER_GROUPS, GROUPS, KUBERNETES_GROUPS
from benchmarks.table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.table import Row

_ALL = [*GROUPS, *DOCKER_GROUPS, *KUBERNETES_GROUPS]


def main() -> None:
    """Measure the chosen rows, print the table, and write it into a page where that is asked for."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # so that everything is tidied up
    with _alone():
        section = _measure(options.rows or _ALL, options.engine, options.checkout, quick=options.quick)
    print(section)
    if options.write is not None:
        write_section(options.write, section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"which groups of rows, of {', '.join(_ALL)}; all if none"
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help="brought up for the Docker rows if DOCKER_HOST names none"
    )
    parser.add_argument("--quick", action="store_true", help="measure little, to see that it works; not for comparing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page of the documentation")
    parser.add_argument(
        "--checkout", type=Path, default=Path(__file__).parent.parent, help="measure the library of another checkout"
    )
    options = parser.parse_args()
    unknown = set(options.rows) - set(_ALL)
    if unknown:
        parser.error(f"there is no group of rows {', '.join(sorted(unknown))}; there are {', '.join(_ALL)}")
    return options


def _measure(names: list[str], engine: str, checkout: Path, *, quick: bool) -> str:
    alternative, own = alternative_environment(), own_environment(checkout)
    with bench(alternative, own, quick=quick) as tools:
        rows = [row for measured in _measured(names, engine, tools) for row in measured]
    note = "A quick run, which is not for comparing.\n\n" if quick else ""
    return (
        f"{note}{machine_facts([alternative, own])}\n\n{markdown_table(rows)}\n\n"
        "Medians, with the lowest and the highest figure in brackets."
    )


def _measured(names: list[str], engine: str, tools: Bench) -> Iterator[list[Row]]:
    """Measure one group after the other, those with engines last."""
    for name in names:
        if name in GROUPS:
            yield _told(name, partial(GROUPS[name], tools))
    if of_docker := [name for name in names if name in DOCKER_GROUPS]:
        with docker_bench(tools, engine) as docker:
            for name in of_docker:
                yield _told(name, partial(DOCKER_GROUPS[name], docker))
    if of_kubernetes := [name for name in names if name in KUBERNETES_GROUPS]:
        with kubernetes_bench(tools) as kubernetes:
            for name in of_kubernetes:
                yield _told(name, partial(KUBERNETES_GROUPS[name], kubernetes))


def _told(name: str, measure: Callable[[], list[Row]]) -> list[Row]:
    progress(f"measuring {name} …")
    rows = measure()
    progress(markdown_table(rows))
    return rows


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other benchmark runs: two at once would measure each other."""
    with (cache_directory() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
