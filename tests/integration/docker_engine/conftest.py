"""What the tests of the Docker back end share: the engine in the environment, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_engine.fault_proxy import FaultProxy
from tests.integration.own_containers import remove_own_containers, use_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import ContainerEngine


@pytest.fixture
def anyio_backend() -> str:
    """These tests are about engines; tests/integration/docker_block runs the whole block on both event loops."""
    return "asyncio"


@pytest.fixture(autouse=True)
def docker_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the test says which engine is used: its `daemon` or `engine`, and without either none."""
    source = next((name for name in ("daemon", "engine") if name in request.fixturenames), None)
    use_engine(None if source is None else request.getfixturevalue(source).docker_host, monkeypatch, tmp_path)


@pytest.fixture
def test_label(request: pytest.FixtureRequest) -> Iterator[str]:
    """A label of this test's containers; what is left of them at the end is removed."""
    label = uuid.uuid4().hex
    yield label
    source = next((name for name in ("daemon", "engine") if name in request.fixturenames), None)
    if source is not None:
        with contextlib.closing(request.getfixturevalue(source).client()) as client:
            remove_own_containers(client, label)


@pytest.fixture
def proxy(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that stands between the runs of this test and the engine."""
    with (
        tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder,  # a socket's path must be short
        FaultProxy(Path(folder) / "proxy.sock", engine.socket).serving() as proxy,
    ):
        monkeypatch.setenv("DOCKER_HOST", proxy.docker_host)
        yield proxy
