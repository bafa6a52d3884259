"""Builds from Go modules: an interrupted one is continued."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.engines.errors import EngineError
from tests.engines.go_builds import GoBuild, build_programs, cached_programs
from tests.engines.paths import CACHE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

BUILDS = [GoBuild("runc", (program,)) for program in ("first", "second")]

# Counts its builds, fails at the second program while a file is there, and leaves a torn program.
GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1; exit; fi
for word; do
    case "$before" in -o) output=$word ;; esac
    before=$word
done
echo "$before" >> {log}
echo torn > "$output$before"
if [ "$before" = second ] && [ -e {broken} ]; then echo "no space left on device" >&2; exit 1; fi
echo whole > "$output$before"
"""


def test_a_half_finished_build_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built whole is kept, what was torn is made again, and only all of it gets the name."""
    log, broken, programs = tmp_path / "log", tmp_path / "broken", tmp_path / "bin"
    programs.mkdir()
    (programs / "go").write_text(GO.format(log=log, broken=broken))
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    broken.touch()
    (tmp_path / "cache" / ".engine-0-old").mkdir(parents=True)

    with pytest.raises(EngineError, match="no space left on device"):
        build_programs("engine", "1", BUILDS)
    assert not cached_programs("engine", "1", BUILDS).exists()
    assert not (tmp_path / "cache" / ".engine-0-old").exists()

    broken.unlink()
    found = build_programs("engine", "1", BUILDS)
    assert {name: (found / name).read_text() for name in ("first", "second")} == {
        "first": "whole\n",
        "second": "whole\n",
    }
    assert log.read_text().split() == ["first", "second", "second"]
    assert found == build_programs("engine", "1", BUILDS)
    assert log.read_text().split() == ["first", "second", "second"]


def test_without_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go an engine says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="install Go and put it in PATH"):
        build_programs("engine", "1", BUILDS)
