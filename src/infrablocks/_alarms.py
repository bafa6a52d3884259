"""Events that are set at a time: one thread looks at the clock for all runs that wait.

A timer of each run's own would be a dozen objects on asyncio and anyio, and the garbage collector goes over whatever
thousands of runs hold while they wait.
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infrablocks._threads import ThreadsafeEvent

# Between two looks at least, so that thousands of times that come one after the other cost little.
_SHORTEST_PAUSE_SECONDS = 0.02
_IDLE_SECONDS = 10.0


class Alarms:
    """Sets events when their time has come. The thread is there while an event waits, and for some seconds more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[ThreadsafeEvent, float] = {}
        self._next_look: float | None = None  # None: there is no thread

    def set(self, event: ThreadsafeEvent, at: float) -> None:
        """Have an event set at a time, in seconds of `time.monotonic`. It is set some hundredths of a second late."""
        with self._changed:
            if self._next_look is None:
                threading.Thread(target=self._work, name="infrablocks-alarms", daemon=True).start()
                self._next_look = -math.inf
            self._due[event] = at
            if at < self._next_look:
                self._changed.notify()

    def cancel(self, event: ThreadsafeEvent) -> None:
        """Forget an event, whose time may have come already."""
        with self._changed:
            self._due.pop(event, None)

    def _work(self) -> None:
        with self._changed:
            while self._due:
                now = time.monotonic()
                for event in [event for event, at in self._due.items() if at <= now]:
                    del self._due[event]
                    event.set()
                self._next_look = min([now + _IDLE_SECONDS, *self._due.values()])
                self._changed.wait(max(_SHORTEST_PAUSE_SECONDS, self._next_look - now))
            self._next_look = None


alarms = Alarms()


def _forget_thread() -> None:
    alarms.__init__()  # type: ignore[misc] # the child of a fork does not have it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_thread)
