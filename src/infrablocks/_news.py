"""How a thread that watches for many runs wakes the one that something has happened to."""

from __future__ import annotations

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

    async def wait(self) -> None:
        """Wait until there is something to look at; what came before this call counts."""
        self._event = event = ThreadsafeEvent()
        if self._pending:
            event.set()
        await event.wait()
        self._event = None
        self._pending = False
