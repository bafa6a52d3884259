"""The report at the end of `.ci/run`: the table, and the last line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from report import failures, only_shown, table

from tests.engines.times import VARIABLE, note, note_failure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def write_junit(directory: Path, name: str, tests: dict[str, tuple[float, str]]) -> None:
    """Write what pytest would: for each test its seconds and what there is inside."""
    cases = "".join(
        f'<testcase classname="tests.x" name="{test}" time="{seconds}">{inside}</testcase>'
        for test, (seconds, inside) in tests.items()
    )
    (directory / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")


def write_nox(directory: Path, **results: int) -> Path:
    path = directory / "nox.json"
    sessions = [{"name": name, "signatures": [name], "result_code": code} for name, code in results.items()]
    path.write_text(json.dumps({"result": 0, "sessions": sessions}))
    return path


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each session and each action of an engine, and the slowest tests, the slowest first."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "times.jsonl").write_text(json.dumps({"session": "lint", "wall": 1.25, "processor": 0.5}) + "\n")
    note("podman", "up", wall=7.5, processor=2)
    note("podman", "prepare", wall=0.1, processor=0.1)
    note("podman", "running", wall=None, processor=30)
    note_failure("docker29", "up", OSError("no"))
    write_junit(tmp_path, "integration-beside", {"quick[a]@podman": (0.5, ""), "slow": (20, "")})
    assert list(table(tmp_path, 100)) == [
        f"\n=== {'what it took':50} {'wall s':>9} {'CPU s':>9}",
        f"    {'lint':50} {1.2:9.1f} {0.5:9.1f}",
        f"    {'engine podman, up':50} {7.5:9.1f} {2:9.1f}",
        f"    {'engine podman, running':50} {'':9} {30:9.1f}",
        f"    {'all':50} {100:9.1f}",
        "\n=== the 20 slowest tests, s",
        "    20.0  integration-beside: tests.x::slow",
        "     0.5  integration-beside: tests.x::quick[a]",
    ]


def test_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed session is named with its first failed tests, the integration session with the engines, too."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    broken = (1.0, "<failure>no</failure>")
    write_junit(tmp_path, "tests-3.11", {"a": broken, "b": (1.0, ""), "c": (1.0, "<error>no</error>")})
    write_junit(tmp_path, "docs", dict.fromkeys("abcde", broken))
    note_failure("docker29", "up", OSError("no"))
    nox = write_nox(tmp_path, **{"lint": 0, "typing": 1, "tests-3.11": 0, "docs": 0, "integration": -1})
    assert failures(nox, tmp_path) == [
        "lint",
        "tests-3.11 (tests.x::a, tests.x::c)",
        "docs (tests.x::a, tests.x::b, tests.x::c, and 2 more)",
        "integration (up of docker29)",
    ]


def test_what_is_only_shown(tmp_path: Path) -> None:
    """A session of a Python that is not supported yet is named with its failed tests, and the table says so."""
    notes = [{"shown": "tests-3.15"}, {"session": "tests-3.15", "wall": 1, "processor": 2}]
    (tmp_path / "times.jsonl").write_text("".join(f"{json.dumps(note)}\n" for note in notes))
    write_junit(tmp_path, "tests-3.15-beside", {"a": (0.1, "<failure>no</failure>"), "b": (0.1, "")})
    assert only_shown(tmp_path) == ["tests-3.15 (tests.x::a)"]
    assert f"    {'tests-3.15 (failed, only shown)':50} {1:9.1f} {2:9.1f}" in table(tmp_path, 1)
    nox = write_nox(tmp_path, **{"tests-3.14": 1, "tests-3.15": 2})
    assert failures(nox, tmp_path) == []


def test_without_reports(tmp_path: Path) -> None:
    """Where nothing was reported, nothing is claimed; reports that were cut off, as on a full disk, are no error."""
    (tmp_path / "docs.xml").write_text("<testsuites><test")
    (tmp_path / "times.jsonl").write_text('{"session": "li')
    assert failures(tmp_path / "nox.json", tmp_path) == []
    (tmp_path / "nox.json").touch()
    assert failures(tmp_path / "nox.json", tmp_path) == []
    assert len(list(table(tmp_path, 1))) == 2
