"""What the tests of the whole block share: the engine in the environment, and a label whose containers are removed."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import docker
import docker.errors
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines import ContainerEngine


@pytest.fixture(autouse=True)
def _engine_in_environment(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)


@pytest.fixture
def labels(client: docker.DockerClient) -> Iterator[dict[str, str]]:
    """Labels of this test's containers; what is left of them at the end is removed."""
    label = {"infrablocks.test-run": uuid.uuid4().hex}
    yield label
    filters: dict[str, str | list[str] | bool] = {"label": [f"{name}={value}" for name, value in label.items()]}
    for container in client.containers.list(all=True, sparse=True, filters=filters):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
