"""One of the programs of an engine that has several."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engines.limits import PATIENCE
from tests.engines.namespaces import Namespace
from tests.engines.processes import ProcessRecord


@dataclass(frozen=True)
class Daemon:
    """A program that runs in an engine's room, or has run there.

    Args:
        name: What its log and its pid file are called.
        directory: Where they are.
    """

    name: str
    directory: Path

    @property
    def log(self) -> Path:
        """What it says."""
        return self.directory / f"{self.name}.log"

    @property
    def process(self) -> ProcessRecord | None:
        """Its process, running or not; None if it was never started."""
        return ProcessRecord.read(self.directory / f"{self.name}.pid")

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        process = self.process
        return process is not None and process.is_alive()

    def launch(
        self, room: Namespace, command: Sequence[str], environment: Mapping[str, str], *, own_network: bool
    ) -> ProcessRecord:
        """Start it in a room, with the room's network or the machine's."""
        process = room.launch(command, self.log, environment=environment, own_network=own_network)
        process.write(self.directory / f"{self.name}.pid")
        return process

    def stop(self, grace: float) -> None:
        """End it: TERM, then KILL after the grace period. Safe to call twice."""
        process = self.process
        if process is not None:
            process.stop(grace)

    def kill(self) -> None:
        """Send SIGKILL, as a crash would."""
        process = self.process
        if process is not None:
            process.signal(signal.SIGKILL)
            process.wait(PATIENCE)
