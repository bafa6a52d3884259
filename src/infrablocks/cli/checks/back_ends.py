"""The checks of all back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks.cli.checks import docker, general, process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infrablocks.cli.checks.finding import Finding

CHECKS: Mapping[str, Sequence[Callable[[], Finding | Sequence[Finding]]]] = {
    "general": general.CHECKS,
    "process": process.CHECKS,
    "docker": docker.CHECKS,
}
"""The checks of each back end, in the order in which they are shown. A back end adds its list here."""
