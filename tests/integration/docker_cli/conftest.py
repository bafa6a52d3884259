"""The command line with a real engine, and a container whose name is the test's own."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import docker.errors
import pytest

from tests.cli.command_line import CommandLineHere
from tests.integration.docker_cli.own_container import OwnContainer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines import ContainerEngine


@pytest.fixture
def infrablocks(tmp_path: Path, engine: ContainerEngine) -> Iterator[CommandLineHere]:
    command_line = CommandLineHere(tmp_path, DOCKER_HOST=engine.docker_host)
    yield command_line
    command_line.end_all()


@pytest.fixture
def own(client: docker.DockerClient) -> Iterator[OwnContainer]:
    own = OwnContainer(client, f"infrablocks-cli-{uuid.uuid4().hex}")
    yield own
    with contextlib.suppress(docker.errors.NotFound):
        client.api.remove_container(own.name, force=True, v=True)
