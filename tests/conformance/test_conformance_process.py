"""`Process` keeps the contract of back ends."""

from __future__ import annotations

import contextlib
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infrablocks import Process
from infrablocks.testing import Capability, MakeBlock, RunningWorkloads
from tests.conformance.measured_alone import MeasuredAlone
from tests.processes import WAIT_SECONDS, children, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator


class Patient(MeasuredAlone):
    """The kit for a machine that may be busy with others."""

    time_limit_seconds = 0.5
    grace_seconds = 0.3
    seconds_per_check = WAIT_SECONDS
    slack_seconds = 30.0


class TestProcess(Patient):
    """A process whose agent watches it: nobody else can attach to it."""

    lacks = (Capability.ATTACH, Capability.ENDED, Capability.LOGS)

    @pytest.fixture
    def make_block(self) -> MakeBlock:
        return Process

    @pytest.fixture
    def running_workloads(self) -> RunningWorkloads:
        """Children of the tests that are no zombies."""
        return lambda: [str(pid) for pid in children() if is_alive(pid)]


class TestDetachedProcess(Patient):
    """A process that outlives its agent has everything."""

    @pytest.fixture
    def make_block(self) -> Iterator[MakeBlock]:
        yield partial(Process, detached=True)
        for pid in shells_of_this_test():  # a check that has failed may leave something
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    @pytest.fixture
    def running_workloads(self) -> RunningWorkloads:
        """The shells that have inherited the home of this test."""
        return shells_of_this_test


def shells_of_this_test() -> list[str]:
    home = f"INFRABLOCKS_HOME={os.environ['INFRABLOCKS_HOME']}".encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if (folder / "cmdline").read_bytes().startswith(b"sh\0") and home in (folder / "environ").read_bytes():
                pids.append(folder.name)
    return pids
