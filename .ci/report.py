"""What `.ci/run` says at its end: what everything took, and what failed."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SLOWEST = 20
_FAILED_TESTS = 3
_SHORT = 0.5


@dataclass(frozen=True)
class Test:
    """What pytest reports of a test.

    Attributes:
        report: The name of the report's file, which begins with the session's name.
    """

    name: str
    report: str
    seconds: float
    failed: bool


def table(directory: Path, wall: float) -> Iterator[str]:
    """Give the lines of the table.

    Args:
        directory: Where the sessions, the engines and pytest have left their reports.
        wall: How many seconds all of it took.
    """
    everything = _notes(directory)
    shown = {note["shown"] for note in everything if "shown" in note}
    notes = [note for note in everything if "processor" in note and _matters(note)]
    yield f"\n=== {'what it took':50} {'wall s':>9} {'CPU s':>9}"
    for note in notes:
        if "session" in note:
            yield _row(f"{note['session']}{' (failed, only shown)' if note['session'] in shown else ''}", note)
    yield from (_row(f"engine {note['engine']}, {note['action']}", note) for note in notes if "engine" in note)
    yield _row("all", {"wall": wall, "processor": None})
    if slowest := sorted(_tests(directory), key=lambda test: -test.seconds)[:_SLOWEST]:
        yield f"\n=== the {_SLOWEST} slowest tests, s"
        yield from (f"{test.seconds:8.1f}  {test.report}: {test.name}" for test in slowest)


def failures(nox: Path, directory: Path) -> list[str]:
    """Return the sessions that failed, each with its first failed tests or the engines that could not be had.

    Args:
        nox: The report of nox; it may be missing or cut short.
        directory: As in `table`.
    """
    try:
        sessions = json.loads(nox.read_text())["sessions"]
    except (OSError, ValueError):  # nox did not come to its end, or the disk is full
        return []
    failed = [session for session in sessions if session["result_code"] <= 0]
    names = [session["signatures"][0] if session["signatures"] else session["name"] for session in failed]
    return _with_causes(names, directory)


def only_shown(directory: Path) -> list[str]:
    """Return the sessions that failed without making the gate fail, each as `failures` has it."""
    return _with_causes([note["shown"] for note in _notes(directory) if "shown" in note], directory)


def _with_causes(sessions: Sequence[str], directory: Path) -> list[str]:
    tests, notes = _tests(directory), _notes(directory)
    texts = []
    for session in sessions:
        causes = [test.name for test in tests if test.failed and test.report.startswith(session)]
        if session == "integration":
            causes += [f"{note['action']} of {note['engine']}" for note in notes if "error" in note]
        if more := len(causes) - _FAILED_TESTS:
            causes[_FAILED_TESTS:] = [f"and {more} more"] if more > 0 else []
        texts.append(f"{session} ({', '.join(causes)})" if causes else session)
    return texts


def _matters(note: dict[str, Any]) -> bool:
    """Leave out what engines did where there was nothing to do."""
    return "session" in note or note["wall"] is None or note["wall"] >= _SHORT


def _row(name: str, note: dict[str, Any]) -> str:
    figures = (f"{note[key]:9.1f}" if note[key] is not None else f"{'':9}" for key in ("wall", "processor"))
    return f"    {name:50} {' '.join(figures)}".rstrip()


def _notes(directory: Path) -> list[dict[str, Any]]:
    path = directory / "times.jsonl"
    notes = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # a line that was cut short
            notes.append(json.loads(line))
    return notes


def _tests(directory: Path) -> list[Test]:
    found = []
    for report in sorted(directory.glob("*.xml")):
        try:
            cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 (pytest has written it)
        except ET.ParseError:  # pytest was ended while it wrote it
            continue
        for case in cases:
            failed = case.find("failure") is not None or case.find("error") is not None
            name = f"{case.attrib['classname']}::{case.attrib['name'].partition('@')[0]}"
            found.append(Test(name, report.stem, float(case.attrib.get("time", 0)), failed))
    return found
