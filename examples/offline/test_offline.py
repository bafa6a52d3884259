"""Offline keeps the contract of infrablocks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from infrablocks_offline import Offline

from infrablocks.testing import InfrastructureConformance


class TestOffline(InfrastructureConformance):
    """Each test is a sentence of the contract."""

    unknown_identifier = "2147483646"

    @pytest.fixture
    def make_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Offline]:
        """Blocks whose runs are on record in a folder of the test."""
        monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path))
        return partial(Offline)
