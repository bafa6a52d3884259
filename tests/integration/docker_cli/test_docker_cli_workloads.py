"""`infrablocks status`, `kill`, `logs` and `doctor` with real engines."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.engines.podman_service import PodmanService
from tests.integration.docker_cli.own_container import CONTAINER
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine
    from tests.engines import ContainerEngine
    from tests.integration.docker_cli.own_container import OwnContainer

pytestmark = pytest.mark.integration

OBEDIENT = ("--", "sh", "-c", "trap 'exit 7' TERM; echo running; echo too >&2; while :; do sleep 0.05; done")


def test_status_and_kill_by_id_and_name(infrablocks: CommandLine, own: OwnContainer) -> None:
    """A container is found by its id, the beginning of that, or its name; its own run ends with its exit code."""
    process = infrablocks.start(*own.run(), *OBEDIENT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    container_id = own.state()["Id"]
    for identifier in (container_id, container_id[:12], own.name):
        done = infrablocks("status", identifier, *CONTAINER)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Running\n", "")
    done = infrablocks("kill", container_id[:12], *CONTAINER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not own.is_running
    assert process.wait(WAIT_SECONDS) == 7
    assert infrablocks("status", own.name, *CONTAINER).stdout == "Failed\n"


@pytest.mark.parametrize("call", ["status", "kill", "logs"])
def test_container_that_is_not_there(infrablocks: CommandLine, own: OwnContainer, call: str) -> None:
    """One line names the identifier and the engine that was asked."""
    done = infrablocks(call, own.name, *CONTAINER)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: There is no container '{own.name}' on the Docker engine at unix://")
    assert done.stderr.count("\n") == 1


def test_logs_of_a_container_that_runs(infrablocks: CommandLine, own: OwnContainer) -> None:
    """What was printed so far comes out on the streams it was printed on, and `logs` does not wait for more."""
    process = infrablocks.start(*own.run(), *OBEDIENT)
    assert process.stderr is not None
    assert process.stderr.readline() == b"too\n"
    wait_until(lambda: b"too" in own.client.api.logs(own.name))
    done = infrablocks("logs", own.name, *CONTAINER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "running\n", "too\n")
    assert own.is_running
    assert infrablocks("kill", own.name, *CONTAINER, "--grace-seconds", str(WAIT_SECONDS)).returncode == 0
    assert process.wait(WAIT_SECONDS) == 7


def test_logs_of_a_container_that_has_ended(infrablocks: CommandLine, own: OwnContainer) -> None:
    """All of it comes out, byte for byte, and more than fits into a pipe."""
    infrablocks(*own.run(), "--", "sh", "-c", "seq 1 100000; printf 'caf\\303\\251'; echo end >&2")
    done = infrablocks("logs", own.state()["Id"], *CONTAINER)
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 100_001)) + "café"
    assert (done.returncode, done.stderr) == (0, "end\n")


def test_logs_of_a_container_with_a_terminal(infrablocks: CommandLine, own: OwnContainer) -> None:
    """Everything is stdout there, with the line ends of a terminal."""
    infrablocks(*own.run("--set", "create_kwargs={tty: true}"), "--", "sh", "-c", "echo out; echo err >&2")
    words = infrablocks.words("logs", own.name, *CONTAINER)
    done = subprocess.run(words, capture_output=True, check=True, env=infrablocks.environment(), timeout=WAIT_SECONDS)
    assert (done.stdout, done.stderr) == (b"out\r\nerr\r\n", b"")


def test_logs_into_a_closed_pipe(infrablocks: CommandLine, own: OwnContainer) -> None:
    """`infrablocks logs … | head -1` is quiet."""
    infrablocks(*own.run(), "--", "seq", "1", "100000")
    process = infrablocks.start("logs", own.name, *CONTAINER)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"1\n"
    process.stdout.close()
    assert process.wait(WAIT_SECONDS) == 141
    assert process.stderr.read() == b""


@pytest.mark.differs_between_engines("a container without a log: the status and the words")
def test_log_that_is_not_kept(infrablocks: CommandLine, own: OwnContainer) -> None:
    """A container that has no log gives an error in one line, in the engine's words."""
    infrablocks(*own.run("--set", "create_kwargs={log_config: {type: none}}"), "--", "echo", "hello")
    done = infrablocks("logs", own.name, *CONTAINER)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The Docker engine at unix://")
    assert done.stderr.count("\n") == 1


@pytest.mark.differs_between_engines("what the engine tells of itself")
def test_doctor(infrablocks: CommandLine, engine: ContainerEngine) -> None:
    """The engine in use is named with its version, that of its API, and how it limits containers."""
    done = infrablocks("doctor")
    assert done.returncode == 0
    kind = "Podman" if isinstance(engine, PodmanService) else "Docker Engine"
    (line,) = (line for line in done.stdout.splitlines() if engine.docker_host in line)
    assert line.startswith(f"ok       docker: engine: {kind} v{engine.version}")
    assert f" at {engine.docker_host} (DOCKER_HOST); cgroup version " in line
    assert ", image store " in line
    assert ", API 1." in line
    assert "cgroup version unknown" not in line
    assert ("docker: host.docker.internal: " in done.stdout) == (engine.name == "podman")
    assert ("docker: limits: " in done.stdout) == (engine.name == "podman5")
    assert line.endswith(", rootless") == (engine.name == "podman5")
