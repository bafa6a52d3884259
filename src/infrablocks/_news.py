"""How a thread that watches for many runs wakes the one that something has happened to."""

from __future__ import annotations

import math

from infrablocks._alarms import alarms
from infrablocks._threads import ThreadsafeEvent


class News:
    """Wakes one run. What came while nobody waited is not lost.

    There is no lock, as thousands of runs may wait: each side writes its own attribute before it reads the other's, so
    that at least one of two that come at the same time sees the other.
    """

    def __init__(self) -> None:
        self._pending = False
        self._event: ThreadsafeEvent | None = None

    def notify(self) -> None:
        """Have the run look; from any thread."""
        self._pending = True
        event = self._event
        if event is not None:
            event.set()

    async def wait(self, until: float = math.inf) -> bool:
        """Wait until there is something to look at; what came before this call counts.

        Args:
            until: When to stop waiting, in seconds of `time.monotonic`.

        Returns:
            Whether there is; False: the time came first.
        """
        self._event = event = ThreadsafeEvent()
        if self._pending:
            event.set()
        if until == math.inf:
            await event.wait()
        else:
            alarms.set(event, until)
            try:
                await event.wait()
            finally:
                alarms.cancel(event)
        self._event = None
        came, self._pending = self._pending, False
        return came
