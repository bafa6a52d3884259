"""How far the log of a container was read, over several attempts: done, to be read on, or given up."""

from __future__ import annotations

import time

from infrablocks._pauses import GIVE_UP_SECONDS, Pauses

_ATTEMPTS_AFTER_END = 4
_OUT_OF_REACH_AFTER_END_SECONDS = 30.0


class LogProgress:
    """How far one log was read: whether it is done, is to be read on, or given up.

    Attributes:
        is_whole: Whether it was last read to what the API server says is its end.
        is_done: Whether it is.
        refusal: The server's words, when the last attempt was not allowed; empty: it was.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self.is_done = False
        self.refusal = ""
        self._pauses = Pauses()
        self._job_ended = False
        self._container_ended = False
        self._attempts_after_end = 0
        self._reached_at = time.monotonic()

    def begin(self, *, job_ended: bool, container_ended: bool) -> None:
        """Note what is known when an attempt begins."""
        self._job_ended = job_ended
        self._container_ended = container_ended
        self.refusal = ""

    def note(self, *, whole: bool, new: bool) -> None:
        """Note what an attempt gave.

        Args:
            whole: Whether it came to its end.
            new: Whether it had what was not delivered before.
        """
        self._reached_at = time.monotonic()
        self.is_whole = whole
        self.is_done = whole and self._container_ended and not new
        self._attempts_after_end = 0 if new else self._attempts_after_end + self._job_ended
        if new:
            self._pauses = Pauses()

    def note_out_of_reach(self, *, new: bool) -> None:
        """Note an attempt in which the connection broke."""
        self.is_whole = False
        if new:
            self.note(whole=False, new=True)

    def note_refused(self, words: str) -> None:
        """Note an attempt that was not allowed: by an API server that starts, say, which passes."""
        self.refusal = words
        self._attempts_after_end += self._job_ended

    @property
    def is_given_up(self) -> bool:
        """Whether another attempt would be one too many."""
        patience = _OUT_OF_REACH_AFTER_END_SECONDS if self._job_ended else GIVE_UP_SECONDS
        too_long = time.monotonic() - self._reached_at > patience
        return self._attempts_after_end >= _ATTEMPTS_AFTER_END or (too_long and not self.is_whole)

    def pause(self) -> float:
        """Give the length of the pause before the next attempt, in seconds."""
        return self._pauses.next()
