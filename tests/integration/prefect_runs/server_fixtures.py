"""The server, a client of its API, and the module whose flows are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.engines import require
from tests.integration.prefect_runs.flow_runs import FLOWS, PrefectApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.prefect_server import PrefectServer

__all__ = ["api", "flows", "server"]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> PrefectServer:
    """The server of Prefect 3, or those that the test has as parameters."""
    return cast("PrefectServer", require(getattr(request, "param", "prefect")))


@pytest.fixture
def api(server: PrefectServer) -> Iterator[PrefectApi]:
    """A client of the server."""
    with PrefectApi(server.api_url) as api:
        yield api


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """The directory of `flows.py`."""
    directory = tmp_path / "flows"
    directory.mkdir()
    (directory / "flows.py").write_text(FLOWS)
    return directory
