"""A registry that asks for a password, under one address that means the same to every engine and to the tests.

``127.0.0.1`` is another address in every room, so each room gets a registry process of its own and the machine gets one
for the tests, all on the same port and all serving the same files. Loopback needs no setting for Docker to do without
TLS; Podman's configuration names it.
"""

import http.client
import json
import signal
import subprocess
from functools import cache
from pathlib import Path

from tests.engines import images
from tests.engines.engine import Engine, Status
from tests.engines.errors import EngineError
from tests.engines.limits import PATIENCE
from tests.engines.namespaces import Namespace
from tests.engines.packages import install
from tests.engines.processes import ProcessRecord, launch, pids_of_session
from tests.engines.registry_client import RegistryClient

REGISTRY = "127.0.0.1:15770"
USER = "infrablocks"
PASSWORD = "only-for-tests"
REPOSITORY = "infrablocks/busybox"
TAG = "test"
"""The image `images.busybox` is there under this name once the registry is up."""

_PROGRAM = "docker-registry"
_HOST, _PORT = REGISTRY.split(":")


class Registry(Engine):
    """Debian's docker-registry. Going down takes the images from the engines' own registry processes, too."""

    name = "registry"
    packages = ("docker-registry", "apache2-utils", *images.PACKAGES)

    @property
    def log(self) -> Path:
        """What the process for the tests says."""
        return self.directory / "registry.log"

    @property
    def client(self) -> RegistryClient:
        """A client that pushes images, for tests that need more than the one that is there."""
        return RegistryClient(REGISTRY, USER, PASSWORD)

    def serve_in(self, namespace: Namespace, directory: Path) -> ProcessRecord:
        """Start a registry process in an engine's room, which it ends with.

        Args:
            namespace: The room.
            directory: Where its log goes.
        """
        install(self.packages)
        self._prepare()
        log = directory / "registry.log"
        process = namespace.launch([_PROGRAM, "serve", str(self._config_file)], log)
        self._wait_until(lambda: namespace.call(_answers), process, log)
        return process

    def is_up(self) -> bool:
        """Tell whether it answers the tests, without starting anything."""
        process = ProcessRecord.read(self._pid_file)
        return process is not None and process.is_alive() and _answers()

    def status(self) -> Status:
        """Return its process and address, or how to get it."""
        process = ProcessRecord.read(self._pid_file)
        if process is None or not self.is_up():
            return Status(self.name, up=False, detail=self.how_to_get_it)
        return Status(self.name, up=True, detail=f"pid {process.pid}, {REGISTRY}, user {USER}")

    def kill(self) -> None:
        """Send SIGKILL to the process that serves the tests."""
        process = ProcessRecord.read(self._pid_file)
        if process is not None:
            process.signal(signal.SIGKILL)
            process.wait(PATIENCE)

    def restart(self) -> None:
        """Stop the process that serves the tests, and start it again."""
        self._stop()
        process = launch([_PROGRAM, "serve", str(self._config_file)], self.log)
        process.write(self._pid_file)
        self._wait_until(_answers, process, self.log)

    @property
    def _pid_file(self) -> Path:
        return self.directory / "registry.pid"

    @property
    def _config_file(self) -> Path:
        return self.directory / "config.yml"

    def _start(self) -> None:
        self._prepare()
        if _answers():
            raise EngineError(f"somebody else's registry listens on {REGISTRY}; is another state directory in use?")
        self.restart()
        self.client.push(images.busybox(), REPOSITORY, TAG)

    def _pids(self) -> list[int]:
        return pids_of_session(ProcessRecord.read(self._pid_file))

    def _stop(self) -> None:
        process = ProcessRecord.read(self._pid_file)
        if process is not None:
            process.stop(grace=5)

    def _clean(self) -> None:
        self._stop()
        self._remove_files()

    def _prepare(self) -> None:
        """Write what every process of the registry reads, unless it is there."""
        if self._config_file.exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        passwords = self.directory / "htpasswd"
        passwords.write_text(_htpasswd())
        config = {  # JSON is YAML, too
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}, "delete": {"enabled": True}},
            # One secret for all: an upload may begin at one process and end at another.
            "http": {"addr": REGISTRY, "secret": "only-for-tests"},
            "auth": {"htpasswd": {"realm": "infrablocks", "path": str(passwords)}},
        }
        self._config_file.write_text(json.dumps(config, indent=2) + "\n")


def _htpasswd() -> str:
    # -B: the registry accepts bcrypt only. Four rounds: every request of every test pays for them.
    command = ["htpasswd", "-n", "-b", "-B", "-C", "4", USER, PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f"htpasswd ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip() + "\n"


def _answers() -> bool:
    """Tell whether a registry on our port asks for a password."""
    connection = http.client.HTTPConnection(_HOST, int(_PORT), timeout=PATIENCE)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@cache
def registry() -> Registry:
    """Return the registry, up or not."""
    return Registry()


engine = registry
