"""How far a long wait has come, for whoever shows it while it lasts: the command line does, in a terminal."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class WaitProgress:
    """How far a wait has come.

    Attributes:
        what: What is waited for.
        detail: How it stands, in words.
        done: How many bytes are there.
        total: How many bytes there will be, as far as known; 0: nothing is known of bytes.
        is_over: Whether the wait has ended.
    """

    what: str
    detail: str = ""
    done: int = 0
    total: int = 0
    is_over: bool = False


PROGRESS_LISTENER: ContextVar[Callable[[WaitProgress], None] | None] = ContextVar("PROGRESS_LISTENER", default=None)
"""Gets each step, from any thread; must not block for long."""


def tell_progress(progress: WaitProgress) -> None:
    """Tell whoever listens."""
    if (listener := PROGRESS_LISTENER.get()) is not None:
        listener(progress)
