"""The packages of `examples/` keep the contract, by their own test files and the kit alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.conformance.package_environment import EXAMPLES

if TYPE_CHECKING:
    from tests.integration.conformance.package_environment import Environment

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("package", ["offline", "sandbox"])
@pytest.mark.parametrize(
    "chosen",
    [
        "not event_loop",
        pytest.param("event_loop", marks=pytest.mark.alone("the kit measures how long the event loop stalls")),
    ],
)
def test_its_own_tests(environment: Environment, package: str, chosen: str) -> None:
    """All tests of the package pass."""
    own = ("-q", "-p", "no:cacheprovider", "--rootdir", ".", "-k", chosen)
    done = environment.run("-m", "pytest", *own, cwd=EXAMPLES / package)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
