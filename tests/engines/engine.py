"""What every engine can do, and what container engines share."""

import abc
import json
import os
import shutil
import signal
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.engines import cgroups, images, namespaces
from tests.engines.errors import EngineError, tail
from tests.engines.limits import PATIENCE
from tests.engines.locks import exclusive
from tests.engines.namespaces import Namespace
from tests.engines.packages import install
from tests.engines.paths import state_directory
from tests.engines.processes import ProcessRecord
from tests.engines.times import processor_seconds
from tests.engines.unix_http import get

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True)
class Status:
    """How an engine is doing, for people to read."""

    name: str
    up: bool
    detail: str


class Engine(abc.ABC):
    """An engine that tests talk to. Objects hold no state: any process of this machine may use the same engine.

    Calling anything twice is safe. Nothing here may be used from several threads at once.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]

    @property
    def directory(self) -> Path:
        """The directory of everything that this engine writes while it is up; logs stay there when it is down."""
        return state_directory() / self.name

    @property
    def control_group(self) -> str:
        """Below this group are those of its containers. Another state directory has another one."""
        return f"infrablocks-{self.name}-{zlib.crc32(str(self.directory).encode()):08x}"

    @property
    def how_to_get_it(self) -> str:
        """The command that brings the engine up, to be run from the checkout."""
        return f"python -m tests.engines up {self.name}"

    def prepare(self) -> None:
        """Install the packages and build or fetch the programs that `up` needs, and start nothing.

        Raises:
            EngineError: Something could not be had.
        """
        install(self.packages)

    def up(self) -> None:
        """Install, build, clean up after a crash and start, whatever of this is needed.

        Raises:
            EngineError: One of those failed; what was half done is taken back.
        """
        with exclusive(state_directory() / "lock"):
            if self.is_up():
                return
            if os.geteuid() != 0:
                raise EngineError("only root can make the namespaces, mounts and control groups of engines")
            self.prepare()
            self._clean()
            shutil.rmtree(self.directory, ignore_errors=True)  # the logs of last time
            self.directory.mkdir(parents=True)
            try:
                self._start()
            except BaseException:
                self._clean()
                raise

    def down(self) -> None:
        """Stop the engine and all that it started, also after a crash, and remove its data but not its logs."""
        with exclusive(state_directory() / "lock"):
            self._clean()

    @abc.abstractmethod
    def is_up(self) -> bool:
        """Tell whether the engine answers, without starting anything."""

    @abc.abstractmethod
    def status(self) -> Status:
        """Return how it is doing, without starting anything."""

    @abc.abstractmethod
    def kill(self) -> None:
        """Send SIGKILL to the engine itself, as a crash would; `restart` brings it back with its data."""

    @abc.abstractmethod
    def restart(self) -> None:
        """Stop the engine itself if it runs, start it again with its data, and wait until it answers."""

    @abc.abstractmethod
    def _start(self) -> None:
        """Start it in an empty directory, and return when it answers."""

    @abc.abstractmethod
    def _clean(self) -> None:
        """Stop and remove everything."""

    def processor_seconds(self) -> float:
        """Return how much processor time its processes have used since it was started."""
        return processor_seconds(self._pids())

    def _pids(self) -> list[int]:
        """Return the processes of its room, without those in process namespaces of their own: containers."""
        return Namespace(self.directory).pids()

    def _remove_files(self) -> None:
        for path in self.directory.glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.suffix != ".log":
                path.unlink()

    @staticmethod
    def _wait_until(ready: Callable[[], bool], process: ProcessRecord, log: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            # In this order: on a fixed port somebody else's process may be the one that answers.
            if not process.is_alive():
                raise EngineError(f"the process ended before it was ready; {tail(log)}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise EngineError(f"not ready after {PATIENCE:g} s; {tail(log)}")
            time.sleep(0.05)


class ProgramEngine(Engine):
    """An engine that is one program, which comes back with its data after a restart."""

    stop_grace: ClassVar[float] = 15
    """How many seconds the program has to end by itself."""

    @property
    @abc.abstractmethod
    def log(self) -> Path:
        """What the program says."""

    @property
    def process(self) -> ProcessRecord | None:
        """The program's process, as seen from outside its room; None if it was never started."""
        return ProcessRecord.read(self.log.with_suffix(".pid"))

    def is_up(self) -> bool:
        """Tell whether the program answers, without starting anything."""
        process = self.process
        return process is not None and process.is_alive() and self._answers()

    def kill(self) -> None:
        """Send SIGKILL to the program; what becomes of containers is the engine's affair."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)
            self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Stop the program only, gracefully; `restart` brings it back."""
        if self.process is not None:
            self.process.stop(self.stop_grace)

    def restart(self) -> None:
        """Stop the program gracefully if it runs, start it again in the same place, and wait until it answers."""
        self.stop()
        process = self._launch()
        process.write(self.log.with_suffix(".pid"))
        self._wait_until(self._answers, process, self.log)

    @abc.abstractmethod
    def _launch(self) -> ProcessRecord:
        """Start the program."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Tell whether the program answers."""


class ContainerEngine(ProgramEngine):
    """An engine that speaks Docker's API on a unix socket, in a room of its own."""

    version: ClassVar[str]
    """What its version number starts with."""

    stop_grace = 20  # Docker gives its containers ten seconds, even if told less

    @property
    def socket(self) -> Path:
        """The API's socket."""
        return self.directory / "api.sock"

    @property
    def docker_host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """What the daemon says."""
        return self.directory / "daemon.log"

    @property
    def namespace(self) -> Namespace:
        """The room of daemon and containers; tests use it to listen where containers can connect."""
        return Namespace(self.directory)

    def _running(self) -> ProcessRecord:
        daemon = self.process
        if daemon is None or not daemon.is_alive():
            raise EngineError(f"{self.name} does not run; to get it: {self.how_to_get_it}")
        return daemon

    def client(self, timeout: int = int(PATIENCE)) -> "docker.DockerClient":
        """Return a client of the SDK; the caller closes it."""
        import docker  # noqa: PLC0415 (getting and stopping engines needs the standard library alone)

        return docker.DockerClient(base_url=self.docker_host, timeout=timeout)

    def status(self) -> Status:
        """Return its version, process and address, or how to get it."""
        daemon, answer = self.process, get(self.socket, "/version")
        if daemon is None or not daemon.is_alive() or answer is None:
            return Status(self.name, up=False, detail=self.how_to_get_it)
        version = json.loads(answer)
        detail = f"version {version['Version']}, API {version['ApiVersion']}, pid {daemon.pid}, {self.docker_host}"
        return Status(self.name, up=True, detail=detail)

    def load(self, image: images.Image) -> None:
        """Load an image from an archive."""
        client = self.client()
        try:
            client.images.load(image.archive())
        finally:
            client.close()

    def prepare(self) -> None:
        """Install what all container engines need, too."""
        super().prepare()
        install((*namespaces.PACKAGES, *images.PACKAGES))

    def _start(self) -> None:
        self.namespace.create()
        self._furnish()
        self.restart()
        self.load(images.busybox())
        self.load(images.entrypoint())

    def _clean(self) -> None:
        if self.process is not None:
            self.process.stop(grace=5)  # nobody will miss the containers
        self.namespace.destroy()
        cgroups.remove(self.control_group)
        self._remove_files()

    def _answers(self) -> bool:
        return get(self.socket, "/_ping") == b"OK"

    def _furnish(self) -> None:
        """Make in the room what this engine needs there beside what every room has."""
