"""A record stands for a watch as long as the agent that made it lives."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from infrablocks import InfrastructureNotAvailable, Process
from infrablocks._watch_records import WatchRecord, agent_host, watched_keys
from tests.python_programs import PythonProgram


def folder() -> Path:
    """Where the records are."""
    return Path(os.environ["INFRABLOCKS_HOME"], "watches")


def test_a_record_is_there_until_it_is_removed() -> None:
    """What is watched twice is watched until both watches have ended."""
    first, second = WatchRecord("abc"), WatchRecord("abc")
    assert watched_keys() == {"abc"}
    first.remove()
    assert (watched_keys("abc"), watched_keys("ab")) == ({"abc"}, set())
    second.remove()
    second.remove()
    assert watched_keys() == set()


def test_the_record_of_a_dead_agent() -> None:
    """The record of an agent that has ended without removing it counts for nothing, and is removed."""
    with PythonProgram("from infrablocks._watch_records import WatchRecord; WatchRecord('abc')") as agent:
        agent.wait()
    assert len(list(folder().glob("abc~*"))) == 1
    assert watched_keys() == set()
    assert list(folder().glob("abc~*")) == []


@pytest.mark.parametrize(
    ("field", "value", "watched"),
    [(3, "1", True), (1, "elsewhere", True), (2, "0000", False), (5, "1", False), (4, "99999999", False)],
    ids=["another container", "another host name", "an earlier boot", "the pid of another", "no such pid"],
)
def test_agents_of_whom_nothing_can_be_known(field: int, value: str, watched: bool) -> None:
    """An agent counts as dead only where that is known; with `other_hosts` also where nothing can be known."""
    record = WatchRecord("abc")
    (path,) = folder().glob("abc~*")
    fields = path.name.split("~")
    fields[field] = value
    path.rename(path.with_name("~".join(fields)))
    known_here = field == 1  # the host's name alone says nothing as long as it is the same boot
    assert watched_keys() == ({"abc"} if watched else set())
    assert watched_keys(other_hosts=True) == ({"abc"} if known_here else set())
    record.remove()


def test_an_agent_of_another_machine() -> None:
    """A folder that machines share may hold the records of another one, of which nothing can be known here."""
    WatchRecord("abc")
    (path,) = folder().glob("abc~*")
    key, _, _, *rest = path.name.split("~")
    path.rename(path.with_name("~".join([key, "elsewhere", "0000", *rest])))
    assert (watched_keys(), watched_keys(other_hosts=True)) == ({"abc"}, set())


def test_the_folder_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two folders, of two users, have two names, which stay; only their owner can read them."""
    record = WatchRecord("abc")
    assert record.agent_host == agent_host()
    modes = [folder().stat().st_mode & 0o777, *(path.stat().st_mode & 0o777 for path in folder().iterdir())]
    assert modes == [0o700, 0o600, 0o600]
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "other"))
    assert agent_host() not in {None, record.agent_host}


def test_a_folder_that_was_removed() -> None:
    """A folder that somebody removes is made again, under another name."""
    before = WatchRecord("abc").agent_host
    for path in folder().iterdir():
        path.unlink()
    folder().rmdir()
    record = WatchRecord("def")
    assert watched_keys() == {"def"}
    assert record.agent_host == agent_host() != before


def test_where_no_record_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a record nothing is said about where it was made: nobody takes it for left; the run is warned."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert (WatchRecord("abc").agent_host, agent_host()) == (None, None)
    with pytest.raises(InfrastructureNotAvailable, match="cannot be known"):
        watched_keys()
    with pytest.raises(InfrastructureNotAvailable, match="cannot be read"):
        Process().reap()
    assert [record.message[:30] for record in caplog.records] == ["A watch cannot be recorded; `r"]


def test_two_thousand_at_once() -> None:
    """Each of many stands for its own watch; those that are removed leave the others."""
    records = [WatchRecord(f"{number}") for number in range(2000)]
    assert len(watched_keys()) == 2000
    for record in records[:500]:
        record.remove()
    assert len(watched_keys()) == 1500
