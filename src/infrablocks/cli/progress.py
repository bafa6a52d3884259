"""What a run waits for, shown on a terminal as long as it lasts: bars for an image that is pulled, a line for a pod."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from infrablocks._progress import PROGRESS_LISTENER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rich.progress
    from rich.console import Console

    from infrablocks._progress import WaitProgress

_BETWEEN_DRAWINGS_SECONDS = 0.1
# What was waited for may print on the same terminal: the bars are wiped away first, unless the terminal stands still.
_WIPED_SECONDS = 0.5


@contextmanager
def progress_on_terminal(*, wanted: bool) -> Iterator[None]:
    """Show what runs wait for, while the context lasts, where stderr is a terminal.

    Args:
        wanted: Whether to show anything.
    """
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    drawing = _Drawing()
    token = PROGRESS_LISTENER.set(drawing.take)
    log_handlers = list(logging.getLogger("infrablocks").handlers)
    for handler in log_handlers:
        handler.addFilter(drawing.before_log_line)
    try:
        yield
    finally:
        for handler in log_handlers:
            handler.removeFilter(drawing.before_log_line)
        PROGRESS_LISTENER.reset(token)
        drawing.close()


class _Drawing:
    """Draws in a thread of its own: a terminal may stand still, and nothing else must wait for it."""

    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[tuple[WaitProgress | None, threading.Event] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._bars: rich.progress.Progress | None = None
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def take(self, progress: WaitProgress) -> None:
        """Have a step drawn. The last one of a wait returns when it is gone from the terminal."""
        with self._lock:
            if self._thread is None:
                if progress.is_over:
                    return
                self._thread = threading.Thread(target=self._draw_all, name="infrablocks-progress", daemon=True)
                self._thread.start()
        drawn = threading.Event()
        self._steps.put((progress, drawn))
        if progress.is_over:
            drawn.wait(_WIPED_SECONDS)

    def before_log_line(self, _record: logging.LogRecord) -> bool:
        """Make room for a log line; the next step is drawn below it."""
        if self._thread is not None:
            wiped = threading.Event()
            self._steps.put((None, wiped))
            wiped.wait(_WIPED_SECONDS)
        return True

    def close(self) -> None:
        """Wipe away what is still there."""
        if self._thread is not None:
            self._steps.put(None)
            self._thread.join(_WIPED_SECONDS)

    def _draw_all(self) -> None:
        from rich.console import Console  # noqa: PLC0415 (only for a terminal)

        # Past Python's own buffer: a thread that waits inside of it when the interpreter ends aborts the program.
        with suppress(OSError), os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace") as terminal:
            console = Console(file=terminal)
            drawn_at = 0.0
            while (step := self._steps.get()) is not None:
                progress, drawn = step
                if progress is None:
                    self._wipe()
                else:
                    self._draw(progress, console)
                if self._bars is not None and (
                    self._steps.empty() or time.monotonic() - drawn_at > _BETWEEN_DRAWINGS_SECONDS
                ):
                    self._bars.refresh()
                    drawn_at = time.monotonic()
                drawn.set()
            self._wipe()

    def _draw(self, progress: WaitProgress, console: Console) -> None:
        task = self._tasks.get(progress.what)
        if progress.is_over:
            if self._bars is not None and task is not None:
                if len(self._tasks) == 1:  # with its bar: where none is left to wipe away, rich before 15 leaves a line
                    self._wipe()
                else:
                    self._bars.remove_task(self._tasks.pop(progress.what))
            return
        if self._bars is None:
            self._bars = _bars(console)
            self._bars.start()
        if task is None:
            task = self._tasks[progress.what] = self._bars.add_task(progress.what, total=None, detail="", size="")
        size = f"{progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB" if progress.total else ""
        self._bars.update(
            task, completed=progress.done, total=progress.total or None, detail=progress.detail, size=size
        )

    def _wipe(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()


def _bars(console: Console) -> rich.progress.Progress:
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 (only for a terminal)

    texts = [TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[detail]", "fields[size]")]
    columns = (texts[0], BarColumn(), *texts[1:])
    # The output of workloads goes its own way.
    return Progress(
        *columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )
