"""The ssh server, the engine behind it, and a client's environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest

from tests.engines import require
from tests.integration.own_containers import use_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines import ContainerEngine
    from tests.engines.ssh_server import SshServer


@pytest.fixture
def ssh_server() -> SshServer:
    """The ssh server in front of Docker 29."""
    return cast("SshServer", require("sshd"))


@pytest.fixture
def engine() -> ContainerEngine:
    """The engine behind it."""
    return cast("ContainerEngine", require("docker29"))


@pytest.fixture
def ssh_environment(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SshServer:
    """The server, whose address is that of the test's environment, with an `ssh` that can reach it."""
    use_engine(ssh_server.docker_host, monkeypatch, tmp_path)
    monkeypatch.setenv("PATH", f"{ssh_server.client_programs}:{os.environ['PATH']}")
    return ssh_server
