"""Fixtures that hand out real engines; a test whose engine is not up is skipped, or fails in CI."""

from collections.abc import Iterator
from typing import cast

import docker
import pytest

from tests.engines import CONTAINER_ENGINES, ContainerEngine, require
from tests.engines.docker_daemon import DockerDaemon
from tests.engines.registry import Registry


@pytest.fixture(params=CONTAINER_ENGINES)
def engine(request: pytest.FixtureRequest) -> ContainerEngine:
    """Each container engine in turn."""
    return cast("ContainerEngine", require(request.param))


@pytest.fixture
def client(engine: ContainerEngine) -> Iterator[docker.DockerClient]:
    """A client of the SDK for the engine."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture(params=["docker20", "docker29"])
def daemon(request: pytest.FixtureRequest) -> DockerDaemon:
    """Each Docker daemon in turn."""
    return cast("DockerDaemon", require(request.param))


@pytest.fixture
def restartable_daemon(daemon: DockerDaemon) -> Iterator[DockerDaemon]:
    """A daemon that the test may restart or kill, and reconfigure."""
    yield daemon
    # Docker 20.10 needs it most: once started with a container still running, it gives all later ones the address
    # "<nil>" for host-gateway.
    daemon.restart(live_restore=False)


@pytest.fixture
def registry() -> Registry:
    """The registry that asks for a password."""
    return cast("Registry", require("registry"))
