"""A registry that asks for a password, under one address that means the same to every engine and to the tests.

``127.0.0.1`` is another address in every room, so each room gets a registry process of its own and the machine gets one
for the tests, all on the same port and all serving the same files. Loopback needs no setting for Docker to do without
TLS; Podman's configuration names it.
"""

import json
import subprocess
from functools import cache
from http import HTTPStatus
from pathlib import Path

from tests.engines import images
from tests.engines.errors import EngineError
from tests.engines.loopback import LOOPBACK, answers
from tests.engines.loopback_server import LoopbackServer
from tests.engines.namespaces import Namespace
from tests.engines.packages import install
from tests.engines.processes import ProcessRecord, launch
from tests.engines.registry_client import RegistryClient

_PORT = 15770
REGISTRY = f"{LOOPBACK}:{_PORT}"
USER = "infrablocks"
PASSWORD = "only-for-tests"
REPOSITORY = "infrablocks/busybox"
TAG = "test"
"""The image `images.busybox` is there under this name once the registry is up."""


class Registry(LoopbackServer):
    """Debian's docker-registry. Going down takes the images from the engines' own registry processes, too."""

    name = "registry"
    packages = ("docker-registry", "apache2-utils", *images.PACKAGES)
    stop_grace = 5

    @property
    def port(self) -> int:
        """The port, which is the same for everybody."""
        return _PORT

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
        process = namespace.launch(self._command, log)
        self._wait_until(lambda: namespace.call(self._answers), process, log)
        return process

    @property
    def _config_file(self) -> Path:
        return self.directory / "config.yml"

    @property
    def _command(self) -> list[str]:
        return ["docker-registry", "serve", str(self._config_file)]

    def _start(self) -> None:
        self._prepare()
        if self._answers():
            raise EngineError(f"somebody else's registry listens on {REGISTRY}; is another state directory in use?")
        self.restart()
        self.client.push(images.busybox(), REPOSITORY, TAG)

    def _launch(self) -> ProcessRecord:
        return launch(self._command, self.log)

    def _answers(self) -> bool:
        """Tell whether a registry on our port asks for a password."""
        return answers(_PORT, "/v2/", HTTPStatus.UNAUTHORIZED)

    def _description(self) -> str:
        return f"{REGISTRY}, user {USER}"

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


@cache
def registry() -> Registry:
    """Return the registry, up or not."""
    return Registry()


engine = registry
