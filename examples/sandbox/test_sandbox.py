"""The sandbox keeps the contract of infrablocks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from infrablocks_sandbox import Sandbox, Sandboxed

from infrablocks.testing import InfrastructureConformance


class TestSandbox(InfrastructureConformance):
    """Each test is a sentence of the contract."""

    @pytest.fixture
    def make_block(self, tmp_path: Path) -> Callable[..., Sandbox]:
        """Blocks whose runs are in a folder of the test."""
        return partial(Sandbox, folder=tmp_path)

    @pytest.fixture
    def running_workloads(self, tmp_path: Path) -> Callable[[], list[str]]:
        """What runs in that folder."""
        return lambda: [run.name for run in tmp_path.iterdir() if Sandboxed(run).is_running()]
