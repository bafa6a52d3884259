"""An engine that is one program on a port of the machine's loopback address."""

import abc
import signal
from pathlib import Path
from typing import ClassVar

from tests.engines.engine import Engine, Status
from tests.engines.errors import EngineError
from tests.engines.limits import PATIENCE
from tests.engines.loopback import is_free
from tests.engines.processes import ProcessRecord, pids_of_session


class LoopbackServer(Engine):
    """A server that comes back on the same port with the same data after a restart."""

    ports: ClassVar[range]
    """One of them is its own: below those that the kernel gives to clients, so that nobody takes it in a restart."""

    stop_grace: ClassVar[float] = 15
    """How many seconds the server has to end by itself."""

    @property
    def port(self) -> int:
        """The port on the machine's loopback address."""
        return int(self._port_file.read_text())

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    @property
    def process(self) -> ProcessRecord | None:
        """The server's process; None if it was never started."""
        return ProcessRecord.read(self._pid_file)

    def is_up(self) -> bool:
        """Tell whether the server answers, without starting anything."""
        process = self.process
        return process is not None and process.is_alive() and self._answers()

    def status(self) -> Status:
        """Return its process and how it is reached, or how to get it."""
        process = self.process
        if process is None or not self.is_up():
            return Status(self.name, up=False, detail=self.how_to_get_it)
        return Status(self.name, up=True, detail=f"pid {process.pid}, {self._description()}")

    def kill(self) -> None:
        """Send SIGKILL to the server."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)
            self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Stop the server only, gracefully; `restart` brings it back with its data."""
        if self.process is not None:
            self.process.stop(self.stop_grace)

    def restart(self) -> None:
        """Stop the server if it runs, and start it again on the same port with the same data."""
        self.stop()
        process = self._launch()
        process.write(self._pid_file)
        self._wait_until(self._answers, process, self.log)

    @property
    def _pid_file(self) -> Path:
        return self.directory / "server.pid"

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
    def _launch(self) -> ProcessRecord:
        """Start the program."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Tell whether the server answers on its port."""

    @abc.abstractmethod
    def _description(self) -> str:
        """Return how it is reached, for people."""
