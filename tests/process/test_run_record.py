"""The file that says which process is ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infrablocks.process._record import read_record, record_of, runs_folder

if TYPE_CHECKING:
    import pytest


def test_it_is_there_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is killed while it writes leaves no half record, which `reap` could only complain about."""
    record, write, seen = record_of(os.getpid()), os.write, []

    def look_and_write(descriptor: int, data: bytes) -> int:
        seen.append(Path(record.path).exists())
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", look_and_write)
        record.write()
    assert (seen, read_record(record.path)) == ([False], record)
    assert [entry.name for entry in Path(runs_folder()).iterdir()] == [Path(record.path).name]
    record.remove()
