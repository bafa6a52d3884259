"""What importing costs, in fresh interpreters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.samples import TIMES, Samples, interleaved, seconds
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_REPETITIONS = 15
_MEBIBYTE = 2**20
# The last two are there to compare with. pydantic and anyio load most of themselves at the first use, so that their
# plain import is little more than a promise; the first model is what every user of pydantic pays.
_STATEMENTS = {
    "prefect": "import prefect.infrastructure",
    "prefect block": "from prefect.infrastructure import Process",
    "infrablocks": "import infrablocks",
    "infrablocks block": "from infrablocks import Process",
    "basis": "import pydantic, anyio",
    "model": "import anyio, pydantic\nclass Model(pydantic.BaseModel): number: int",
}


def measure(bench: Bench) -> list[Row]:
    """Measure the time and the most memory of importing either library, and of the two that ours is built on."""
    ways = {
        name: partial(
            bench.run, bench.alternative if name.startswith("prefect") else bench.own, "import_time", statement
        )
        for name, statement in _STATEMENTS.items()
    }
    figures = interleaved(ways, bench.repetitions(_REPETITIONS))
    times = {name: seconds(run["seconds"] for run in runs) for name, runs in figures.items()}
    memory = {name: Samples(tuple(run["bytes"] for run in runs), "MiB", _MEBIBYTE) for name, runs in figures.items()}
    return [
        *_against_alternative("import of the library", "prefect", "infrablocks", times, memory),
        *_against_alternative("import of the block `Process`", "prefect block", "infrablocks block", times, memory),
        _against_basis("`import pydantic, anyio`", times["infrablocks"], times["basis"], is_target=True),
        _against_basis(
            "`import pydantic, anyio` and a first model", times["infrablocks"], times["model"], is_target=False
        ),
        Row("to compare with: `import pydantic, anyio`, time", None, times["basis"]),
        Row("to compare with: `import pydantic, anyio`, memory", None, memory["basis"]),
        Row("to compare with: the same and a first model, time", None, times["model"]),
        Row("to compare with: the same and a first model, memory", None, memory["model"]),
    ]


def _against_alternative(
    what: str, alternative: str, own: str, times: dict[str, Samples], memory: dict[str, Samples]
) -> list[Row]:
    return [
        Row(
            f"{what}: time",
            times[alternative],
            times[own],
            at_most(times[own].median, 0.08 * times[alternative].median, f"≤ 0.08 {TIMES} prefect"),
        ),
        Row(
            f"{what}: memory of the interpreter at most",
            memory[alternative],
            memory[own],
            at_most(memory[own].median, 0.35 * memory[alternative].median, f"≤ 0.35 {TIMES} prefect"),
        ),
    ]


def _against_basis(name: str, own: Samples, basis: Samples, *, is_target: bool) -> Row:
    multiples = Samples(tuple(time / basis.median for time in own.values), TIMES)
    target = at_most(multiples.median, 1.6, f"≤ 1.6 {TIMES}") if is_target else None
    return Row(f"import of the library: time, in multiples of {name}", None, multiples, target)
