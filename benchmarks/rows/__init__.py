"""The rows of the table: a module for each group of them, with a function `measure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import imports, many_runs, output, short_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.table import Row

GROUPS: dict[str, Callable[[Bench], list[Row]]] = {
    "import": imports.measure,
    "short": short_runs.measure,
    "output": output.measure,
    "many": many_runs.measure,
}
