"""What the tests of the Docker back end share: the engine in the environment, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import gc
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors
import pytest

from tests.integration.docker_engine.driving import TEST_LABEL
from tests.integration.docker_engine.fault_proxy import FaultProxy

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
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    for fixture in ("engine", "daemon"):
        if fixture in request.fixturenames:
            monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue(fixture).docker_host)


@pytest.fixture(autouse=True)
def _collect_sockets_of_the_sdk() -> Iterator[None]:
    """The SDK leaves sockets that could not connect to the garbage collector: it comes here, not in a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def test_label(request: pytest.FixtureRequest) -> Iterator[str]:
    """A label of this test's containers; what is left of them at the end is removed."""
    label = uuid.uuid4().hex
    yield label
    source = next((name for name in ("daemon", "engine") if name in request.fixturenames), None)
    if source is not None:
        with contextlib.closing(request.getfixturevalue(source).client()) as client:
            remove_left(client, label)


def remove_left(client: docker.DockerClient, label: str) -> None:
    """Remove the containers with a label."""
    for container in client.containers.list(all=True, sparse=True, filters={"label": f"{TEST_LABEL}={label}"}):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


@pytest.fixture
def proxy(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that stands between the runs of this test and the engine."""
    with (
        tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder,  # a socket's path must be short
        FaultProxy(Path(folder) / "proxy.sock", engine.socket).serving() as proxy,
    ):
        monkeypatch.setenv("DOCKER_HOST", proxy.docker_host)
        yield proxy
