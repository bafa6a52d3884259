"""The table of figures, as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.samples import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.samples import Samples

_HEADER = ("What", "prefect 2.20.25", "infrablocks", "Ratio", "Target", "Met?")
_NOTHING = "–"  # noqa: RUF001 (the sign of an empty cell)


@dataclass(frozen=True)
class Target:
    """A figure to reach.

    Attributes:
        text: As the specification says it.
        met: Whether it is reached.
    """

    text: str
    met: bool


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        alternative: The figure of the other library; None where the line is not about it.
        ours: The figure of this library, or of whatever `what` names.
        target: None for a line that is there to compare with.
    """

    what: str
    alternative: Samples | None
    ours: Samples
    target: Target | None = None

    def cells(self) -> tuple[str, ...]:
        """Write the cells."""
        alternative = _NOTHING if self.alternative is None else str(self.alternative)
        base = 0.0 if self.alternative is None else self.alternative.median
        ratio = f"{self.ours.median / base:.3g} {TIMES}" if base else _NOTHING
        target = self.target
        met = _NOTHING if target is None else "yes" if target.met else "**no**"
        return (self.what, alternative, str(self.ours), ratio, target.text if target else _NOTHING, met)


def at_most(figure: float, limit: float, text: str) -> Target:
    """Make the target that a figure is not above a limit."""
    return Target(text, figure <= limit)


def at_least(figure: float, limit: float, text: str) -> Target:
    """Make the target that a figure is not below a limit."""
    return Target(text, figure >= limit)


def markdown_table(rows: Iterable[Row]) -> str:
    """Write the rows as a table, its columns aligned for who reads the source."""
    lines = [_HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])
