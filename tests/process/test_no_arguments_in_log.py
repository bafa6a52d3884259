"""What a command is given stands in no log line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from infrablocks import Process

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("detached", [False, True])
async def test_no_argument_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, detached: bool
) -> None:
    """No line has an argument of the command or a variable's value, at any level (PITFALL 62)."""
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path))
    caplog.set_level(logging.DEBUG)
    block = Process(command=["sh", "-c", "exit 3 # word-7d1f"], env={"A": "value-5e20"}, detached=detached)
    assert (await block.run()).status_code == 3
    assert "exited with status code 3" in caplog.text
    assert [text for text in ("word-7d1f", "value-5e20") if text in caplog.text] == []
