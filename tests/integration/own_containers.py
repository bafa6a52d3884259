"""The engine that a test uses, as that of its environment, and the containers that are the test's own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import docker.errors

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from docker.models.containers import Container

LABEL = "infrablocks.test-run"
"""Each test gives its containers this label with a value of its own."""


def use_engine(docker_host: str | None, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make an engine that of the environment, or none, whatever the machine's own settings are.

    Args:
        docker_host: The value for DOCKER_HOST; None: no engine.
        monkeypatch: Undoes it after the test.
        folder: Where the configuration of Docker is to be.
    """
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "docker-config"))
    if docker_host is not None:
        monkeypatch.setenv("DOCKER_HOST", docker_host)


def own_containers(client: docker.DockerClient, label: str) -> list[Container]:
    """Give the containers of a test that are there, running or not."""
    return client.containers.list(all=True, sparse=True, filters={"label": f"{LABEL}={label}"})


def remove_own_containers(client: docker.DockerClient, label: str) -> None:
    """Remove what is left of the containers of a test."""
    for container in own_containers(client, label):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
