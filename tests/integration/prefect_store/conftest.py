"""The store at a real Prefect server, and Prefect's own programs beside it."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING, cast

import pytest

from infrablocks import Block
from tests.engines import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines.prefect_server import PrefectServer


@pytest.fixture(params=["prefect", "prefect2"])
def server(request: pytest.FixtureRequest) -> PrefectServer:
    """The servers of Prefect 3 and 2 in turn."""
    return cast("PrefectServer", require(request.param))


@pytest.fixture(autouse=True)
def _store_at_the_server(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRABLOCKS_STORE", "prefect")
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)


@pytest.fixture
def name(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that no block has; what the test saves under it, or under it with more at its end, is deleted."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)  # a test may have put something between
    for saved in Block.list():
        if saved.rpartition("/")[2].startswith(name):
            Block.delete(saved)


@pytest.fixture
def prefect(server: PrefectServer, tmp_path: Path) -> Callable[..., str]:
    """Runs one of Prefect's programs or its Python, as others of the same server do; gives what it prints."""

    def run(program: str, *arguments: str) -> str:
        variables = {**server.client_environment(tmp_path / "prefect-program"), "COLUMNS": "200"}
        command = [str(server.python.with_name(program)), *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
