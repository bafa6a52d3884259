"""The one container of a test, as its engine sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import docker.errors

from tests.engines import images

CONTAINER = ("--type", "docker-container")

# With a Prefect API elsewhere a container need not reach this machine, of which older Podmans would warn.
_NO_WARNING = ("--env", "PREFECT_API_URL=http://prefect.example/api")


@dataclass(frozen=True)
class OwnContainer:
    """A container that may exist.

    Attributes:
        client: The engine's.
        name: Its name.
    """

    client: docker.DockerClient
    name: str

    def run(self, *options: str, image: str = images.BUSYBOX) -> tuple[str, ...]:
        """Give the words of `infrablocks run` that make it."""
        return ("run", "--docker", image, "--name", self.name, *_NO_WARNING, *options)

    def state(self) -> dict[str, Any]:
        """Ask the engine about it; empty where there is none."""
        try:
            inspected: dict[str, Any] = self.client.api.inspect_container(self.name)
        except docker.errors.NotFound:
            return {}
        return inspected

    @property
    def exists(self) -> bool:
        """Whether the engine has it."""
        return bool(self.state())

    @property
    def is_running(self) -> bool:
        """Whether its command runs."""
        return bool(self.state().get("State", {}).get("Running"))
