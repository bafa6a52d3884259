"""For each check of the conformance kit a test class of a back end that breaks it.

Not collected with the other tests: `test_kit.py` runs this file, where every test must fail.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest

import tests.conformance.broken_life_cycles
import tests.conformance.broken_output
import tests.conformance.broken_runs  # noqa: F401 (each of these fills BROKEN)
from examples.sandbox.infrablocks_sandbox import Sandbox
from infrablocks.testing import Capability, InfrastructureConformance
from tests.conformance.broken_workloads import BROKEN
from tests.processes import WAIT_SECONDS, children, is_alive

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks import Infrastructure
    from infrablocks.testing import MakeBlock, RunningWorkloads

__all__ = ["BROKEN"]


class Impatient(InfrastructureConformance):
    """The kit, with less patience."""

    slack_seconds = 0.5
    grace_seconds = 0.2
    time_limit_seconds = 0.3
    block_class: ClassVar[type[Infrastructure]]

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def make_block(self, tmp_path: Path) -> MakeBlock:
        own = {"folder": tmp_path} if issubclass(self.block_class, Sandbox) else {}
        return partial(self.block_class, grace_seconds=0.5, **own)

    @pytest.fixture
    def running_workloads(self) -> RunningWorkloads:
        return lambda: [str(pid) for pid in children() if is_alive(pid)]


# What never comes is waited for, in half of that time what does come.
_NEVER = {"test_logs": 20.0, "test_started_comes_while_the_workload_runs": 10.0}

for _check, _broken in BROKEN.items():
    _hooks = {
        "block_class": _broken.block_class,
        "lacks": (Capability.ATTACH,) if _check == "test_attach_that_is_missing" else (),
        "seconds_per_check": _NEVER.get(_check, WAIT_SECONDS),
    }
    globals()[f"Test_{_check}"] = type(f"Test_{_check}", (Impatient,), _hooks)


class TestWithoutMakeBlock(InfrastructureConformance):
    """Its author has forgotten the fixture."""
