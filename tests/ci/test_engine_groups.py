"""Two processes never run tests of one engine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.availability import only, require
from tests.engines.paths import STATE_VARIABLE
from tests.integration.engine_groups import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# Holds the groups of some engines until its stdin is closed.
HOLDER = """
import sys
from tests.integration.engine_groups import hold
hold(sys.argv[1:])
print("held", flush=True)
sys.stdin.read()
"""


def holder(*engines: str) -> subprocess.Popen[str]:
    """Another process that runs tests of these engines."""
    command = [sys.executable, "-c", HOLDER, *engines]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def _own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state directory of the test's own, and with it its own locks."""
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as directory:  # a socket's path must be short
        monkeypatch.setenv(STATE_VARIABLE, directory)
        yield


@pytest.mark.usefixtures("_own_state")
def test_a_group_is_held_by_one_process() -> None:
    """A test fails while another process uses an engine of its group, and other groups are free."""
    with holder("prefect", "registry") as other:
        try:
            with pytest.raises(pytest.fail.Exception, match="another process runs tests of: docker29 and prefect"):
                hold(["docker29"])
            hold(["podman", "registry"])
            hold(["registry"])
            with holder("podman") as another:  # it was let go
                another.communicate()
            other.communicate()
            hold(["docker29"])
        finally:
            hold([])


def test_an_engine_that_a_test_has_not_declared() -> None:
    """It is refused with the marker that would declare it, whether the engine is up or not."""
    with only({"podman"}), pytest.raises(pytest.fail.Exception, match=r'@pytest.mark.engines\("docker20"\)'):
        require("docker20")
