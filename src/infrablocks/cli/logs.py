"""The library's log lines on stderr, and Python's warnings among them."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAST_LINES_SECONDS = 1.0


@contextmanager
def logs_on_stderr(level: int, *, tracebacks: bool) -> Iterator[None]:
    """Show the log lines of `infrablocks`, and what `warnings.warn` tells, while the context lasts.

    Args:
        level: The least level that is shown.
        tracebacks: Show the tracebacks that some lines have, and not only their last line.
    """
    logger = logging.getLogger("infrablocks")
    handler = _StderrHandler(level)
    handler.setFormatter(_Formatter(tracebacks=tracebacks))
    level_before = logger.level
    # Warnings are made even where they are not shown, because `stopping` listens to one.
    logger.setLevel(min(level, logging.WARNING))
    logger.addHandler(handler)
    show_before, warnings.showwarning = warnings.showwarning, _log_warning
    try:
        yield
    finally:
        warnings.showwarning = show_before
        logger.removeHandler(handler)
        logger.setLevel(level_before)
        handler.close()


def _log_warning(message: Warning | str, *_place: object, **_more: object) -> None:
    """Show a warning of Python as a log line; takes the place of `warnings.showwarning`."""
    logging.getLogger("infrablocks.warnings").warning("%s", " ".join(str(message).split()))


class _Formatter(logging.Formatter):
    """`Warning: message`, and nothing that only a developer wants unless it was asked for."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname.capitalize()}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            line = f"{line}: {record.exc_info[1]}"
            if self._tracebacks:
                line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class _StderrHandler(logging.Handler):
    """Writes in a thread of its own: who reads our stderr may have stalled, and the event loop must not wait for it."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        # Called with the handler's lock held.
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="infrablocks-log", daemon=True)
            self._thread.start()
        self._lines.put(self.format(record))

    def close(self) -> None:
        """Wait for the last lines, but not for ever."""
        super().close()
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(_LAST_LINES_SECONDS)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError):
                _write(f"{line}\n")


def _write(text: str) -> None:
    """Write past Python's own buffer: a thread that waits inside of it when the interpreter ends aborts the program."""
    if sys.stderr is None:
        return
    rest = text.encode(sys.stderr.encoding, "backslashreplace")
    while rest:
        rest = rest[os.write(sys.stderr.fileno(), rest) :]
