"""What the tests of the whole block share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _engine_in_environment(engine_in_use: object) -> None:
    """The engine of the test is the one in use."""


@pytest.fixture
def labels(own_labels: dict[str, str]) -> dict[str, str]:
    """Labels of this test's containers."""
    return own_labels
