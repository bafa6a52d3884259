"""One environment for the packages of `examples/`: to make it takes longer than any of their tests."""

from __future__ import annotations

import pytest

from tests.integration.conformance.package_environment import EXAMPLES, Environment


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A virtual environment that has both packages."""
    return Environment(tmp_path_factory.mktemp("examples") / "venv", EXAMPLES / "offline", EXAMPLES / "sandbox")
