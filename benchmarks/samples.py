"""Repeated figures: their median and spread, and how they are written."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

T = TypeVar("T")

TIMES = "×"  # noqa: RUF001 (the sign of multiplication, which is meant)
"""The unit of a ratio."""

Figures: TypeAlias = Mapping[str, float]
"""What one run of a script has handed over."""


@dataclass(frozen=True)
class Samples:
    """One figure, measured several times.

    Attributes:
        values: In the order of the measurements.
        unit: As it is written behind the figure.
        scale: What a value is divided by to be written in this unit.
    """

    values: tuple[float, ...]
    unit: str
    scale: float = 1.0

    @property
    def median(self) -> float:
        """The middle one, which a noisy neighbour does not move."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        low, middle, high = (
            _three_digits(value / self.scale) for value in (min(self.values), self.median, max(self.values))
        )
        spread = f" ({low}–{high})" if len(self.values) > 1 else ""  # noqa: RUF001 (a dash between two figures)
        return f"{middle} {self.unit}{spread}"


def seconds(values: Iterable[float]) -> Samples:
    """Make samples of times, written in milliseconds where they are short."""
    times = tuple(values)
    short = statistics.median(times) < 1
    return Samples(times, "ms" if short else "s", 1e-3 if short else 1.0)


def interleaved(ways: Mapping[str, Callable[[], T]], repetitions: int) -> dict[str, list[T]]:
    """Measure several ways in turn, so that a change of the machine's mood meets all of them.

    Args:
        ways: What to call, by name. Each is called once beforehand, uncounted, to warm the caches of the machine up.
        repetitions: How often to call each; the order is turned around every time.
    """
    for measure in ways.values():
        measure()
    results: dict[str, list[T]] = {name: [] for name in ways}
    order = list(ways)
    for _ in range(repetitions):
        for name in order:
            results[name].append(ways[name]())
        order.reverse()
    return results


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 (three digits that count)
    return f"{value:,.{digits}f}"
