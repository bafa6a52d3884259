"""`DockerContainer` and an engine behind an ssh server: refused by its address, and run through a forwarded socket."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from infrablocks import DockerContainer, InfrastructureNotAvailable
from infrablocks._threads import ThreadsafeEvent
from tests.processes import WAIT_SECONDS, Lines, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anyio.abc import TaskStatus

    from tests.engines.ssh_server import SshServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engines("docker29"),
    pytest.mark.usefixtures("ssh_environment"),
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]

REFUSAL = r"^Could not connect to Docker at ssh://engine \(DOCKER_HOST\): ssh is not supported\. Forward the socket"
CALLS: dict[str, Callable[[], Any]] = {
    "run": lambda: block("true").run(),
    "attach": lambda: DockerContainer().attach("0" * 64),
    "logs": lambda: DockerContainer().logs("0" * 64),
    "status": lambda: DockerContainer().status("0" * 64),
    "kill": lambda: DockerContainer().kill("0" * 64),
}
FOREVER = "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done"


def block(script: str, **fields: Any) -> DockerContainer:
    command = ["sh", "-c", script]
    return DockerContainer(image="busybox:test", command=command, **{"auto_remove": True, **fields})


class ForwardedSocket:
    """The way to an engine behind an ssh server that the error for an ssh address tells.

    Args:
        told: The command in the error's text.
        path: Where the socket is to be.
        server: The ssh server.
    """

    def __init__(self, told: str, path: Path, server: SshServer) -> None:
        self.path = path
        ways = {
            "/tmp/docker.sock": str(path),
            "/var/run/docker.sock": str(server.behind.socket),
            "USER@HOST": "engine",
        }
        for word, ours in ways.items():
            assert told.count(word) == 1
            told = told.replace(word, ours)
        self._command = told.split()
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Start the ssh command, and return when its socket is there."""
        self.path.unlink(missing_ok=True)  # ssh leaves it behind, and does not take it over
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        wait_until(self.path.exists)

    def cut(self) -> None:
        """End the ssh command, and with it all connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def forwarded(ssh_environment: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardedSocket]:
    """The forwarded socket, open and in use as the environment's engine."""
    with pytest.raises(InfrastructureNotAvailable) as refusal:
        block("true").run()
    told = re.search("`(ssh [^`]*)`", str(refusal.value))
    assert told is not None
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder:  # a socket's path must be short
        forwarded = ForwardedSocket(told[1], Path(folder, "docker.sock"), ssh_environment)
        try:
            forwarded.open()
            monkeypatch.setenv("DOCKER_HOST", f"unix://{forwarded.path}")
            yield forwarded
        finally:
            forwarded.cut()


class Running:
    """A run in a task of its own, which tells when its first line has come."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._printed = ThreadsafeEvent()
        self.lines = Lines()
        self.result: Any = None

    async def __call__(self, *, task_status: TaskStatus[str]) -> None:
        self.result = await self._container.run(task_status, output=self._take)

    def _take(self, stream: str, line: str) -> None:
        self.lines(stream, line)
        self._printed.set()

    async def first_line(self) -> None:
        """Wait until it has printed something."""
        with anyio.fail_after(WAIT_SECONDS):
            await self._printed.wait()


@pytest.mark.parametrize("call", CALLS)
async def test_an_ssh_address_is_refused(ssh_server: SshServer, call: str) -> None:
    """Every call says that ssh is not supported, at which address, and what to do, and logs in nowhere."""
    logins = ssh_server.log.read_text().count("Accepted publickey")

    with pytest.raises(InfrastructureNotAvailable, match=REFUSAL):
        await CALLS[call]()

    assert ssh_server.log.read_text().count("Accepted publickey") == logins


async def test_a_context_with_an_ssh_address_is_refused(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker context that names such an address is refused as well, by its name and without the user's."""
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    meta = Path(os.environ["DOCKER_CONFIG"], "contexts", "meta", sha256(b"far").hexdigest(), "meta.json")
    meta.parent.mkdir(parents=True)
    address = f"{ssh_server.docker_host.replace('//', '//somebody:secret@')}:22"
    meta.write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": address}}}))

    with pytest.raises(InfrastructureNotAvailable, match="ssh is not supported") as refusal:
        await block("true").run()

    assert "at ssh://engine:22 (docker context 'far')" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.usefixtures("forwarded")
async def test_a_run_through_the_forwarded_socket() -> None:
    """The way that the refusal tells works: a container's output is whole and in order, its exit code its own."""
    lines = Lines()
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo err >&2; exit 3"

    result = await block(script).run(output=lines)

    assert result.status_code == 3
    assert lines.text("stdout") == "".join(f"line {number}\n" for number in range(2000))
    assert lines.text("stderr") == "err\n"


@pytest.mark.usefixtures("forwarded")
async def test_kill_through_the_forwarded_socket() -> None:
    """A container behind the server gets SIGTERM from `kill`, and its run its exit code."""
    running = Running(block(FOREVER))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        await DockerContainer().kill(identifier, grace_seconds=WAIT_SECONDS)
    assert (running.result.identifier, running.result.status_code) == (identifier, 7)


@pytest.mark.usefixtures("forwarded")
async def test_attach_after_a_cancelled_run() -> None:
    """A cancelled run leaves its container behind the server, and `attach` gives its output and its exit code."""
    running = Running(block(FOREVER))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        tasks.cancel_scope.cancel()
    lines = Lines()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(DockerContainer().kill, identifier)
        result = await DockerContainer().attach(identifier, output=lines)
    assert result.status_code == 7
    assert lines.text() == "running\n"


async def test_the_connection_is_lost_and_comes_back(forwarded: ForwardedSocket) -> None:
    """While the ssh connection is away the container goes on, and its run has the whole output and the exit code."""
    running = Running(block("trap 'echo told; exit 7' TERM; echo running; while :; do sleep 0.05; done"))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        await anyio.to_thread.run_sync(forwarded.cut)
        await anyio.to_thread.run_sync(forwarded.open)
        await DockerContainer().kill(identifier, grace_seconds=WAIT_SECONDS)
    assert running.result.status_code == 7
    assert running.lines.text() == "running\ntold\n"
