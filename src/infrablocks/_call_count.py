"""How many calls go on at once over a pool of connections: the last of many closes those that they leave idle."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# So many idle connections are kept between calls.
_IDLE_CONNECTIONS = 1


class CallCount:
    """Counts the calls of one client, which come from any thread.

    Args:
        has_users: Says whether anybody still uses the client; otherwise no idle connection is kept.
    """

    def __init__(self, has_users: Callable[[], bool]) -> None:
        self._has_users = has_users
        self._lock = threading.Lock()
        self._calls = 0
        self._most_calls = 0

    @contextmanager
    def counted(self, close_idle: Callable[[], None]) -> Iterator[None]:
        """Count a call while the context lasts.

        Args:
            close_idle: Closes the connections that no call uses just now.
        """
        with self._lock:
            self._calls += 1
            self._most_calls = max(self._most_calls, self._calls)
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0 and (self._most_calls > _IDLE_CONNECTIONS or not self._has_users()):
                    # Nobody is about to take one: calls begin under this lock.
                    self._most_calls = 0
                    close_idle()
