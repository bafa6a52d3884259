"""A Prefect server, listening on a loopback port and keeping its database in the state directory."""

import http.client
import os
import signal
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.engines import prefect_image
from tests.engines.engine import Engine, Status
from tests.engines.limits import PATIENCE
from tests.engines.prefect_environment import VERSION, environment
from tests.engines.processes import SYSTEM_PATH, ProcessRecord, launch, pids_of_session

_LOOPBACK = "127.0.0.1"

# Below the ports that the kernel gives to clients, so that nobody takes one while the server restarts.
_PORTS = range(23800, 23840)


class PrefectServer(Engine):
    """Prefect's own server, without its user interface."""

    name = "prefect"
    packages = prefect_image.PACKAGES

    @property
    def port(self) -> int:
        """The port on the machine's loopback address; the same one after a restart."""
        return int(self._port_file.read_text())

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"http://{_LOOPBACK}:{self.port}/api"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    @property
    def python(self) -> Path:
        """A Python that can import Prefect, for flow runs as processes and for Prefect's own commands."""
        return environment() / "bin" / "python"

    @property
    def process(self) -> ProcessRecord | None:
        """The server's process; None if it was never started."""
        return ProcessRecord.read(self._pid_file)

    def client_environment(self, home: Path) -> Mapping[str, str]:
        """Return all variables of a program that uses Prefect's own client.

        Args:
            home: A directory for what the client keeps, best one of the test's own.
        """
        programs = f"{self.python.parent}:{SYSTEM_PATH}"
        return {**_QUIET, "PATH": programs, "PREFECT_HOME": str(home), "PREFECT_API_URL": self.api_url}

    def prepare(self) -> None:
        """Make the environment of the server and the image that most flow runs need, too."""
        super().prepare()
        environment()
        prefect_image.archive()

    def is_up(self) -> bool:
        """Tell whether the server answers, without starting anything."""
        process = self.process
        return process is not None and process.is_alive() and self._answers()

    def status(self) -> Status:
        """Return its version, process and address, or how to get it."""
        process = self.process
        if process is None or not self.is_up():
            return Status(self.name, up=False, detail=self.how_to_get_it)
        return Status(self.name, up=True, detail=f"version {VERSION}, pid {process.pid}, {self.api_url}")

    def kill(self) -> None:
        """Send SIGKILL to the server."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)
            self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Stop the server only, gracefully; `restart` brings it back with its data."""
        if self.process is not None:
            self.process.stop(grace=15)

    def restart(self) -> None:
        """Stop the server if it runs, and start it again on the same port with the same database."""
        self.stop()
        options = ["--host", _LOOPBACK, "--port", str(self.port), "--no-ui"]
        variables = {**_QUIET, "PATH": SYSTEM_PATH, "PREFECT_HOME": str(self.directory / "home")}
        command = [str(self.python), "-m", "prefect", "server", "start", *options]
        process = launch(command, self.log, environment=variables)
        process.write(self._pid_file)
        self._wait_until(self._answers, process, self.log)

    @property
    def _pid_file(self) -> Path:
        return self.directory / "server.pid"

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _start(self) -> None:
        self._port_file.write_text(str(_free_port()))
        self.restart()

    def _pids(self) -> list[int]:
        return pids_of_session(self.process)

    def _clean(self) -> None:
        self.stop()
        self._remove_files()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(_LOOPBACK, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HOME": os.devnull,  # nothing of the machine's owner is read or written
    "NO_COLOR": "1",
}
"""Variables that keep Prefect from talking to anybody but us."""


def _free_port() -> int:
    for port in _PORTS:
        try:
            socket.create_server((_LOOPBACK, port)).close()
        except OSError:
            continue
        return port
    raise OSError(f"no free port among {_PORTS}")


@cache
def engine() -> PrefectServer:
    """Return the engine, up or not."""
    return PrefectServer()
