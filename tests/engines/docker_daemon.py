"""What Docker's daemons of all versions have in common."""

import errno
import json
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.engines import certificates
from tests.engines.engine import ContainerEngine
from tests.engines.errors import EngineError
from tests.engines.limits import PATIENCE
from tests.engines.processes import SYSTEM_PATH, ProcessRecord
from tests.engines.registry import registry
from tests.engines.unix_http import get

_LOOPBACK = "127.0.0.1"

# Below the ports that the kernel gives to clients, so that nobody takes one while its daemon restarts.
_TLS_PORTS = range(23760, 23800)


class DockerDaemon(ContainerEngine):
    """A dockerd in a room of its own, with a unix socket and a TLS port on the machine's loopback address.

    It has its defaults for everything below /run, which is the room's. Containers with the network mode ``host`` see
    the room's loopback, not the machine's: a test that wants to be reached listens with ``namespace.listen``.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    """What this version needs in daemon.json beyond the common part."""

    @property
    def certificates(self) -> Path:
        """The client's directory for DOCKER_CERT_PATH."""
        return self.directory / "tls" / "client"

    @property
    def tls_host(self) -> str:
        """The value for DOCKER_HOST of the port with TLS, which wants the client's certificate."""
        return f"tcp://{_LOOPBACK}:{self._tls_port_file.read_text()}"

    def restart(self, *, live_restore: bool | None = None) -> None:
        """Stop the daemon gracefully if it runs and start it again.

        Args:
            live_restore: The setting from now on, so that it tells what becomes of containers at the *next* stop. None
                leaves it as it is; at first it is off.
        """
        self.stop()
        if live_restore is not None:
            self._configure(live_restore=live_restore)
        super().restart()

    def set_live_restore(self, *, enabled: bool) -> None:
        """Change the setting in the running daemon, which acts on it at its next stop."""
        daemon = self._running()
        self._configure(live_restore=enabled)
        daemon.signal(signal.SIGHUP)
        self._wait_until(lambda: self._live_restore() is enabled, daemon, self.log)

    @property
    def _config_file(self) -> Path:
        return self.directory / "daemon.json"

    @property
    def _tls_port_file(self) -> Path:
        return self.directory / "tls-port"

    def _live_restore(self) -> bool | None:
        answer = get(self.socket, "/info")
        return None if answer is None else bool(json.loads(answer)["LiveRestoreEnabled"])

    def _programs(self) -> str:
        """Return the search path of the daemon."""
        return SYSTEM_PATH

    def _start(self) -> None:
        certificates.create(self.directory / "tls")
        self._configure(live_restore=False)
        super()._start()
        registry().serve_in(self.namespace, self.directory)

    def _launch(self) -> ProcessRecord:
        # The daemon has its own network, so the port is made here and handed over: see Namespace.launch.
        with self._listen() as listener:
            self._tls_port_file.write_text(str(listener.getsockname()[1]))
            return self.namespace.launch(
                ["dockerd", "--config-file", str(self._config_file), "-H", self.docker_host, "-H", "fd://"],
                self.log,
                environment={"PATH": self._programs(), "HOME": str(self.directory)},
                listener=listener,
            )

    def _listen(self) -> socket.socket:
        """Listen on a free port at first, and on the same one after every restart."""
        if self._tls_port_file.exists():
            return _listen_on([int(self._tls_port_file.read_text())], patience=PATIENCE)
        return _listen_on(_TLS_PORTS, patience=0)

    def _configure(self, *, live_restore: bool) -> None:
        tls = self.directory / "tls"
        settings = {
            "data-root": str(self.directory / "data"),
            "cgroup-parent": f"/{self.control_group}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "live-restore": live_restore,
            "tlsverify": True,
            "tlscacert": str(tls / "ca.pem"),
            "tlscert": str(tls / "server.pem"),
            "tlskey": str(tls / "server-key.pem"),
            **self.settings,
        }
        self._config_file.write_text(json.dumps(settings, indent=2) + "\n")


def _listen_on(ports: Sequence[int], patience: float) -> socket.socket:
    """Listen on the first free port, and try again for some seconds if there is none.

    The nsenter of a daemon that has just ended holds its port for some milliseconds more.
    """
    deadline = time.monotonic() + patience
    while True:
        for port in ports:
            try:
                return socket.create_server((_LOOPBACK, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        if time.monotonic() > deadline:
            raise EngineError(f"no free port for TLS among {ports}")
        time.sleep(0.02)
