"""What the pull policies of the back ends have in common: people write them in many ways."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class PullPolicy(StrEnum):
    """A policy that is found by its name in any case, with or without underscores and dashes."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Find `if_not_present`, `if-not-present`, `IfNotPresent` and `ifnotpresent`."""
        if not isinstance(value, str):
            return None
        return next((policy for policy in cls if _letters(policy.value) == _letters(value)), None)


def _letters(text: str) -> str:
    return text.replace("_", "").replace("-", "").lower()
