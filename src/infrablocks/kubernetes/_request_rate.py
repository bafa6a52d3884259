"""A limit for how often a server is asked, whatever it answers."""

from __future__ import annotations

import time

_AT_ONCE = 4.0


class RequestRate:
    """Allows some requests at once and then one from time to time; for one thread.

    Args:
        between: How many seconds apart requests are on average.
    """

    def __init__(self, between: float) -> None:
        self._between = between
        self._left = _AT_ONCE
        self._counted_at = time.monotonic()

    def delay(self) -> float:
        """Count one request, and say how many seconds to wait before it."""
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._counted_at) / self._between) - 1
        self._counted_at = now
        return max(-self._left * self._between, 0.0)
