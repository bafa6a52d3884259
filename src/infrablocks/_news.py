"""How a thread that watches for many runs wakes the one that something has happened to."""

from __future__ import annotations

import threading

from infrablocks._threads import ThreadsafeEvent


class News:
    """Wakes one run. What came while nobody waited is not lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = False
        self._event: ThreadsafeEvent | None = None

    def notify(self) -> None:
        """Have the run look; from any thread."""
        with self._lock:
            self._pending = True
            if self._event is not None:
                self._event.set()

    async def wait(self) -> None:
        """Wait until there is something to look at; what came before this call counts."""
        event = ThreadsafeEvent()
        with self._lock:
            self._event = event
            if self._pending:
                event.set()
        await event.wait()
        with self._lock:
            self._event = None
            self._pending = False
