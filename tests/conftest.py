"""What all tests share: both event loops, folders of their own, and a guard against blocking calls in the loop."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests import nightly, pythons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ITEMS = pytest.StashKey[list[pytest.Item]]()

# Who is started in the background (`nohup nox &`) ignores these signals, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)

# A busy machine is no failure, which also is slow at making examples; and in CI the same examples are tried every time,
# so that a change is judged by itself.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("here", _ANY_MACHINE)
settings.register_profile("ci", _ANY_MACHINE, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Run what is left to the night, too."""
    parser.addoption(nightly.OPTION, action="store_true", help="run the tests with the marker `nightly`, too")


@pytest.hookimpl(tryfirst=True)  # before pytest's own choice by markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that run with every change, or all, and mark those that run on every Python."""
    pythons.mark(items)
    nightly.leave_out_nightly(config, items)
    config.stash[_ITEMS] = items


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what only runs at night, with the reasons."""
    if lines := nightly.list_nightly(config.stash.get(_ITEMS, [])):
        terminalreporter.section("not in the gate")
        terminalreporter.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test on both backends of anyio."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _blocking_calls_fail() -> Iterator[None]:
    with blockbuster_ctx("infrablocks"):
        yield


@pytest.fixture(autouse=True)
def _ended_children_are_waited_for() -> Iterator[None]:
    """A process that a run has left on purpose, and that a test has ended, is not found by later tests."""
    yield
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.waitpid(ended.si_pid, 0)


@pytest.fixture(autouse=True)
def _own_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "infrablocks-home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect-home"))
