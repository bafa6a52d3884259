"""How far a pull has come is told at each step to whoever listens, and now and then in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from infrablocks._progress import PROGRESS_LISTENER, WaitProgress
from infrablocks.docker import _pull
from infrablocks.docker._reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

WHAT = "Pulling image busybox:1"
LINES: list[dict[str, Any]] = [
    {"status": "Pulling from library/busybox", "id": "1"},
    {"status": "Pulling fs layer", "id": "a"},
    {"status": "Already exists", "id": "b"},
    {"status": "Downloading", "id": "a", "progressDetail": {"current": 1_000_000, "total": 4_000_000}},
    {"status": "Downloading", "id": "a", "progressDetail": {"current": 4_000_000, "total": 4_000_000}},
    {"status": "Pull complete", "id": "a", "progressDetail": {}},
    {"status": "Digest: sha256:0"},
]


@pytest.fixture
def steps() -> Iterator[list[WaitProgress]]:
    """What a listener is told."""
    told: list[WaitProgress] = []
    token = PROGRESS_LISTENER.set(told.append)
    yield told
    PROGRESS_LISTENER.reset(token)


def test_steps(steps: list[WaitProgress]) -> None:
    """Layers and bytes are counted as the engine tells them, and the end is told."""
    progress = _pull._PullProgress(parse_reference("busybox:1"), logging.getLogger("test"))
    for line in LINES:
        progress.take(line)
    progress.end()
    assert list(dict.fromkeys(steps)) == [
        WaitProgress(WHAT, "0 of 0 layers"),
        WaitProgress(WHAT, "0 of 1 layers"),
        WaitProgress(WHAT, "1 of 2 layers"),
        WaitProgress(WHAT, "1 of 2 layers", 1_000_000, 4_000_000),
        WaitProgress(WHAT, "1 of 2 layers", 4_000_000, 4_000_000),
        WaitProgress(WHAT, "2 of 2 layers", 4_000_000, 4_000_000),
        WaitProgress(WHAT, is_over=True),
    ]


def test_log_lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without a listener the log has it."""
    monkeypatch.setattr(_pull, "_PROGRESS_SECONDS", 0)
    caplog.set_level(logging.INFO)
    progress = _pull._PullProgress(parse_reference("busybox:1"), logging.getLogger("test"))
    for line in LINES[:4]:
        progress.take(line)
    progress.end()
    assert caplog.messages[-1] == f"{WHAT}: 1 of 2 layers, 1.0 of 4.0 MB."
