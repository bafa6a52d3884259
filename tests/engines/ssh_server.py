"""An ssh server in front of Docker 29: Debian's sshd on a loopback port, with keys of its own."""

import socket
from functools import cache
from pathlib import Path

from tests.engines import docker29, namespaces
from tests.engines.debian_suites import unpacked
from tests.engines.docker_daemon import DockerDaemon
from tests.engines.limits import PATIENCE
from tests.engines.loopback import LOOPBACK
from tests.engines.loopback_server import LoopbackServer
from tests.engines.low_priority import run_politely
from tests.engines.namespaces import Namespace
from tests.engines.processes import SYSTEM_PATH, ProcessRecord

HOST = "engine"
"""The name under which clients know the server."""

_USER = "root"
_SUITE, _PACKAGE = "bookworm", "openssh-server"
_BANNER = b"SSH-2.0-"

# StrictModes would have sshd refuse keys below a directory that everybody may write to, such as /tmp.
_SERVER_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey "{directory}/host-key"
PidFile none
AuthorizedKeysFile "{directory}/client-key.pub"
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200
MaxSessions 200
SetEnv "DOCKER_HOST={docker_host}" "PATH={path}"
"""

_CLIENT_CONFIG = """
Host {host}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile "{directory}/client-key"
    IdentitiesOnly yes
    IdentityAgent none
    GlobalKnownHostsFile /dev/null
    UserKnownHostsFile "{directory}/known-hosts"
    StrictHostKeyChecking yes
    BatchMode yes
"""

# ssh finds its configuration by the user's entry in passwd and not by HOME, hence a program that names it.
_CLIENT = """#!/bin/sh
exec /usr/bin/ssh -F "{directory}/client-config" "$@"
"""

# The server's room has these users and no others: sshd wants one for what it does without rights, and a shell that
# reads nothing of the machine's owner.
_PASSWD = f"""\
{_USER}:x:0:0::{{directory}}/home:/bin/sh
sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin
"""
_SHADOW = f"{_USER}:*:19000:0:99999:7:::\n"
_FURNISH = """
mkdir -m 755 /run/sshd
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
"""


class SshServer(LoopbackServer):
    """An sshd whose users find the docker command, which talks to the engine that is behind it.

    It uses the machine's network, but it and its connections end with the room.
    """

    name = "sshd"
    packages = (
        *namespaces.PACKAGES,
        "docker.io",  # the docker command
        "libwrap0",  # what the server needs beyond the client's dependencies
        "openssh-client",
    )
    ports = range(23880, 23920)

    @property
    def behind(self) -> DockerDaemon:
        """The engine behind it, which is brought up by itself."""
        return docker29.engine()

    @property
    def docker_host(self) -> str:
        """The value for DOCKER_HOST; good for programs that find `client_programs` first in their PATH."""
        return f"ssh://{HOST}"

    @property
    def client_programs(self) -> Path:
        """A directory with a program `ssh` that knows the server and has a key for it."""
        return self.directory / "bin"

    @property
    def client_path(self) -> str:
        """The value for PATH of programs that are to reach the server by the `ssh` in it."""
        return f"{self.client_programs}:{SYSTEM_PATH}"

    @property
    def room(self) -> Namespace:
        """The namespaces that the server and all connections end with."""
        return Namespace(self.directory)

    def prepare(self) -> None:
        """Fetch the server, too. It is not installed: the machine would get an ssh server that starts with it."""
        super().prepare()
        unpacked(_SUITE, _PACKAGE)

    def _launch(self) -> ProcessRecord:
        program = unpacked(_SUITE, _PACKAGE) / "usr/sbin/sshd"
        command = [str(program), "-D", "-e", "-f", str(self.directory / "server-config")]
        return self.room.launch(command, self.log, own_network=False)

    def _start(self) -> None:
        self._choose_port()
        self._make_keys()
        self._write_files()
        self.room.create()
        self.room.run(["sh", "-ec", _FURNISH, "sh", str(self.directory)])
        self.restart()

    def _make_keys(self) -> None:
        for name in ("host-key", "client-key"):
            path = str(self.directory / name)
            run_politely(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"infrablocks-{name}", "-f", path])

    def _write_files(self) -> None:
        values = {
            "directory": self.directory,
            "docker_host": self.behind.docker_host,
            "host": HOST,
            "path": SYSTEM_PATH,
            "port": self.port,
            "user": _USER,
        }
        host_key = (self.directory / "host-key.pub").read_text()
        (self.directory / "known-hosts").write_text(f"[{LOOPBACK}]:{self.port} {host_key}")
        for name, content in (
            ("server-config", _SERVER_CONFIG),
            ("client-config", _CLIENT_CONFIG),
            ("passwd", _PASSWD),
            ("shadow", _SHADOW),
        ):
            (self.directory / name).write_text(content.format(**values))
        (self.directory / "home").mkdir(mode=0o700)
        self.client_programs.mkdir()
        client = self.client_programs / "ssh"
        client.write_text(_CLIENT.format(**values))
        client.chmod(0o755)

    def _pids(self) -> list[int]:
        return self.room.pids()

    def _clean(self) -> None:
        self.stop()
        self.room.destroy()
        self._remove_files()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=PATIENCE) as connection:
                return connection.recv(len(_BANNER)) == _BANNER
        except OSError:
            return False

    def _description(self) -> str:
        return f"{LOOPBACK}:{self.port}, PATH={self.client_path} DOCKER_HOST={self.docker_host}"


@cache
def engine() -> SshServer:
    """Return the engine, up or not."""
    return SshServer()
