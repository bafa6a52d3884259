"""What a check has found out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How good it is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is, in one or two words.
        state: How good it is; something broken makes the whole of `doctor` fail.
        detail: What was found, and where it is not good what to do; never the value of a setting.
    """

    name: str
    state: State
    detail: str
