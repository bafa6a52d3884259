"""How attempts at something that may be out of reach for a while are spaced, and when they end."""

from __future__ import annotations

import random

GIVE_UP_SECONDS = 180.0
"""A run gives up when its engine or cluster was out of reach for so long; its workload may go on."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0


class Pauses:
    """The pauses between attempts: each twice as long, up to a limit, and each of a random length."""

    def __init__(self, first: float = _FIRST_PAUSE_SECONDS, longest: float = _LONGEST_PAUSE_SECONDS) -> None:
        self._next = first
        self._longest = longest

    def next(self) -> float:
        """Give the length of the next pause, in seconds."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - so that many agents do not come at once
