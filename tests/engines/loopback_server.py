"""An engine that is one program on a port of the machine's loopback address."""

import abc
from pathlib import Path
from typing import ClassVar

from tests.engines.engine import ProgramEngine, Status
from tests.engines.errors import EngineError
from tests.engines.loopback import is_free
from tests.engines.processes import pids_of_session


class LoopbackServer(ProgramEngine):
    """A server that comes back on the same port with the same data after a restart."""

    ports: ClassVar[range]
    """One of them is its own: below those that the kernel gives to clients, so that nobody takes it in a restart."""

    @property
    def port(self) -> int:
        """The port on the machine's loopback address."""
        return int(self._port_file.read_text())

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    def status(self) -> Status:
        """Return its process and how it is reached, or how to get it."""
        process = self.process
        if process is None or not self.is_up():
            return Status(self.name, up=False, detail=self.how_to_get_it)
        return Status(self.name, up=True, detail=f"pid {process.pid}, {self._description()}")

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _start(self) -> None:
        self._choose_port()
        self.restart()

    def _choose_port(self) -> None:
        port = next(filter(is_free, self.ports), None)
        if port is None:
            raise EngineError(f"no free port for {self.name} among {self.ports}")
        self._port_file.write_text(str(port))

    def _pids(self) -> list[int]:
        return pids_of_session(self.process)

    def _clean(self) -> None:
        self.stop()
        self._remove_files()

    @abc.abstractmethod
    def _description(self) -> str:
        """Return how it is reached, for people."""
