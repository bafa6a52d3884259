"""The threads that blocking calls are made in."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_SECONDS = 10.0


class WorkerThreads:
    """Threads that outlive an event loop, as many as there are calls, and that end when they are idle.

    anyio's threads belong to one loop and end with it, which a script pays for with every call; those of
    `concurrent.futures` stay for ever, and the interpreter waits for them when it ends. These are daemons: who waits
    for a call does so in `run_in_worker_thread`, and a reader of output that has stalled keeps nothing from ending.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Have a function called that does not raise; never waits for a thread.

        Raises:
            RuntimeError: No thread can be started.
        """
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._calls.put(call)
                return
        threading.Thread(target=self._work, args=(call,), name="infrablocks-worker", daemon=True).start()

    def _work(self, call: Callable[[], None] | None) -> None:
        while call is not None:
            call()
            del call  # what it holds is not to live until the next call
            call = self._next()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            self._idle += 1
        try:
            return self._calls.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            with self._lock:
                if self._idle:
                    self._idle -= 1
                    return None
        return self._calls.get()  # `submit` has counted on this thread in the meantime


workers = WorkerThreads()


def _forget_threads() -> None:
    workers.__init__()  # type: ignore[misc] # the child of a fork has none of the threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
