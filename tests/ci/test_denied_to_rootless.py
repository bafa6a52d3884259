"""A test that rootless Podman cannot run is skipped with its reason, and in CI no test is skipped without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.ci.test_nightly import pytest_on

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PLUGIN = ("-p", "tests.integration.denied_to_rootless")

DENIED = """
import pytest

@pytest.mark.denied_to_rootless("no limits of memory")
@pytest.mark.parametrize("engine", ["docker29", "podman5"])
def test_memory(engine): pass
"""
OTHER = """
import pytest

@pytest.mark.denied_to_rootless("no limits of memory")
@pytest.mark.parametrize("engine", ["docker29"])
def test_memory(engine): pytest.skip("it is busy")
"""
OF_THE_KIT = """
import infrablocks.testing

exec(compile("import pytest\\ndef test_kit(): pytest.skip('not for this kind')", infrablocks.testing.__file__, "exec"))
"""


def test_one_that_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped on rootless Podman only, in CI too, and the reason is shown."""
    monkeypatch.setenv("CI", "true")
    printed = pytest_on(DENIED, tmp_path, *PLUGIN).stdout
    assert "1 passed, 1 skipped" in printed
    assert "denied to rootless Podman: no limits of memory" in printed


def test_any_other_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails in CI, with what the test has said, and nowhere else."""
    monkeypatch.setenv("CI", "true")
    printed = pytest_on(OTHER, tmp_path, *PLUGIN).stdout
    assert "1 failed" in printed
    assert "in CI a test is skipped only by the marker `denied_to_rootless`" in printed
    assert "it is busy" in printed
    monkeypatch.delenv("CI")
    assert "1 skipped" in pytest_on(OTHER, tmp_path, *PLUGIN).stdout


def test_a_check_of_the_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says that it is not for this kind of block may be skipped."""
    monkeypatch.setenv("CI", "true")
    assert "1 skipped" in pytest_on(OF_THE_KIT, tmp_path, *PLUGIN).stdout
