"""The ssh server of the other tests lets the docker command through, and nobody without its key."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.paths import STATE_VARIABLE
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import ContainerEngine
    from tests.engines.ssh_server import SshServer

pytestmark = [pytest.mark.integration, pytest.mark.engines("docker29")]


@pytest.fixture
def own_server(ssh_server: SshServer, own_state_directory: Path) -> Iterator[SshServer]:
    """Another server, in a state directory of its own, which is down."""
    assert ssh_server.directory.is_relative_to(own_state_directory)
    yield ssh_server
    ssh_server.down()


def ssh(server: SshServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the client that knows the server."""
    command = [str(server.client_programs / "ssh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)


@pytest.mark.usefixtures("ssh_environment")
def test_the_docker_command_runs_a_container_through_it(engine: ContainerEngine) -> None:
    """The docker command talks to the engine behind the server, and has a container's output and exit code."""
    version = subprocess.check_output(["docker", "version", "--format", "{{.Server.Version}}"], text=True)
    command = ["docker", "run", "--rm", "busybox:test", "sh", "-c", "echo out; echo err >&2; exit 3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)

    assert version.startswith(engine.version)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


@pytest.mark.parametrize(
    ("option", "refusal"),
    [
        ("PubkeyAuthentication=no", "Permission denied (publickey)"),
        ("UserKnownHostsFile=/dev/null", "Host key verification failed"),
    ],
)
def test_who_does_not_know_the_other_is_refused(ssh_server: SshServer, option: str, refusal: str) -> None:
    """The server lets nobody in without its client's key, and the client trusts no other server's key."""
    done = ssh(ssh_server, "-o", option, "engine", "true")

    assert done.returncode == 255
    assert refusal in done.stderr


def test_nothing_of_the_machines_owner_is_read(ssh_server: SshServer) -> None:
    """A command on the server has the variables of the server's configuration and an empty home."""
    done = ssh(ssh_server, "engine", 'echo "$DOCKER_HOST"; ls -A "$HOME"')

    assert (done.stdout, done.stderr) == (f"{ssh_server.behind.docker_host}\n", "")


def test_the_life_of_a_server(own_server: SshServer) -> None:
    """A crash is noticed, a restart keeps port and keys, and `down` ends connections and leaves nothing but logs."""
    server = own_server
    assert not server.status().up
    server.up()
    port = server.port
    assert ssh(server, "engine", "exit 3").returncode == 3

    server.kill()
    assert not server.is_up()
    assert server.status().detail == "python -m tests.engines up sshd"

    server.restart()
    assert (server.is_up(), server.port) == (True, port)
    assert ssh(server, "engine", "exit 3").returncode == 3

    with subprocess.Popen(
        [server.client_programs / "ssh", "engine", "echo connected; sleep 1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as connection:
        assert connection.stdout is not None
        assert connection.stdout.readline() == b"connected\n"
        server.down()
        assert connection.wait(WAIT_SECONDS) == 255
    assert server.directory.is_relative_to(os.environ[STATE_VARIABLE])
    assert {path.suffix for path in Path(server.directory).iterdir()} == {".log"}


def test_up_after_a_crash_of_everything(own_server: SshServer) -> None:
    """What was left of a server whose processes have all been killed does not keep it from coming up."""
    server = own_server
    server.up()
    first = server.room.first
    server.kill()
    first.stop(grace=0)
    wait_until(lambda: not first.is_alive())

    server.up()

    assert ssh(server, "engine", "exit 3").returncode == 3
