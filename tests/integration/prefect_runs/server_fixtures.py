"""The server, a client of its API, and the module whose flows are run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.engines import require
from tests.integration.prefect_runs.flow_runs import FLOWS, PrefectApi

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def flows() -> Iterator[Path]:
    """The directory of `flows.py`, which the user of a rootless engine may enter; nobody may enter those of pytest."""
    with tempfile.TemporaryDirectory(prefix="ib-flows-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "flows.py").write_text(FLOWS)
        yield directory
