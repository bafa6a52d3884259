"""Servers of Prefect 3 and 2, listening on a loopback port and keeping their databases in the state directory."""

import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

from tests.engines import prefect_environment, prefect_image
from tests.engines.loopback import LOOPBACK, answers
from tests.engines.loopback_server import LoopbackServer
from tests.engines.prefect_environment import PREFECT_2, PREFECT_3, PrefectEnvironment
from tests.engines.processes import SYSTEM_PATH, ProcessRecord, launch


class PrefectServer(LoopbackServer):
    """Prefect's own server, without its user interface."""

    packages: ClassVar[tuple[str, ...]] = prefect_environment.PACKAGES
    environment: ClassVar[PrefectEnvironment]

    program: ClassVar[tuple[str, ...]]
    """The module that is the server, and its first arguments."""

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"http://{LOOPBACK}:{self.port}/api"

    @property
    def python(self) -> Path:
        """A Python that can import Prefect, for flow runs as processes and for Prefect's own commands."""
        return self.environment.python()

    def client_environment(self, home: Path) -> Mapping[str, str]:
        """Return all variables of a program that uses Prefect's own client.

        Args:
            home: A directory for what the client keeps, best one of the test's own.
        """
        programs = f"{self.python.parent}:{SYSTEM_PATH}"
        return {**_QUIET, "PATH": programs, "PREFECT_HOME": str(home), "PREFECT_API_URL": self.api_url}

    def prepare(self) -> None:
        """Make the environment of the server, too."""
        super().prepare()
        self.environment.directory()

    def _launch(self) -> ProcessRecord:
        variables = {**_QUIET, "PATH": SYSTEM_PATH, "PREFECT_HOME": str(self.directory / "home")}
        address = ["--host", LOOPBACK, "--port", str(self.port)]
        return launch([str(self.python), "-m", *self.program, *address], self.log, environment=variables)

    def _answers(self) -> bool:
        return answers(self.port, "/api/health", HTTPStatus.OK)

    def _description(self) -> str:
        return f"version {self.environment.version}, {self.api_url}"


class Prefect3(PrefectServer):
    """The server of most tests, with an image in which flow runs run."""

    name = "prefect"
    packages = (*PrefectServer.packages, *prefect_image.PACKAGES)
    environment = PREFECT_3
    program = ("prefect", "server", "start")
    ports = range(23800, 23840)

    def prepare(self) -> None:
        """Make the image that most flow runs need, too."""
        super().prepare()
        prefect_image.archive()


class Prefect2(PrefectServer):
    """A server of the last Prefect 2, whose environment has the blocks that ours replace."""

    name = "prefect2"
    environment = PREFECT_2
    # What `prefect server start` starts there as a process of its own, which would survive a crash of the first.
    program = ("uvicorn", "--factory", "prefect.server.api.server:create_app")
    ports = range(23840, 23880)


_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_UI_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HOME": os.devnull,  # nothing of the machine's owner is read or written
    "NO_COLOR": "1",
}
"""Variables that keep Prefect from talking to anybody but us, and from serving pages."""


@cache
def prefect_3() -> Prefect3:
    """Return the engine of Prefect 3, up or not."""
    return Prefect3()


@cache
def prefect_2() -> Prefect2:
    """Return the engine of Prefect 2, up or not."""
    return Prefect2()
