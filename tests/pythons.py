"""Which tests run on every Python; on the oldest and the newest all tests run.

They carry the marker ``pythons``, whose text says what differs between Pythons. They get it here, folder by folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent

REASONS = {
    "attach": "signals, and a supervisor that another Python may have started",
    "blocks": "annotations, and the schemas and documents that pydantic makes of them",
    "cancellation": "how tasks end",
    "ci/test_pythons.py": "where Pythons are found",
    "cli": "the command line's parser, help and signals",
    "output": "threads and pipes",
    "process": "child processes, their watching, and signals",
    "reap": "processes that outlive their program",
    "test_environment.py": "what a child process inherits",
    "test_life_cycle.py": "tasks, threads and what the garbage collector counts",
    "test_news.py": "threads that wake an event loop, and forks",
    "test_sync_compatible.py": "event loops, and how they are begun",
    "test_threads.py": "threads, event loops and the end of the interpreter",
}
"""Folders and files below `tests/`, each with what differs there."""


def mark(items: Iterable[pytest.Item]) -> None:
    """Give the tests of these folders and files the marker `pythons`."""
    for item in items:
        if (reason := _reason(item.path)) is not None:
            item.add_marker(pytest.mark.pythons(reason))


def _reason(path: Path) -> str | None:
    if not path.is_relative_to(HERE):
        return None
    parts = path.relative_to(HERE)
    return next((REASONS[str(part)] for part in (parts, *parts.parents) if str(part) in REASONS), None)
