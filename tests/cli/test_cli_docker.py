"""Containers at the command line, as far as no engine is needed."""

from __future__ import annotations

import json
import shlex
import socket
import tempfile
import time
from contextlib import contextmanager, suppress
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.cli.command_line import CommandLine

    Place = Callable[[], AbstractContextManager[str]]

IMAGE = ("--docker", "busybox:1.36")
CONTAINER = ("--type", "docker-container")
# The command line with a shorter limit for an engine's first answer.
IMPATIENT = """
import sys
from infrablocks.cli import main
from infrablocks.docker import _session
_session.CONNECT_SECONDS = 0.5
sys.exit(main())
"""


def test_preview_is_what_an_engine_would_get(infrablocks: CommandLine) -> None:
    """A container is shown as JSON; no engine is needed."""
    words = ("--env", "A=1", "--name", "etl", "--set", "mem_limit=64m", "--", "echo", "a b")
    done = infrablocks("preview", *IMAGE, *words)
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    expected = {
        "image": "busybox:1.36",
        "command": ["echo", "a b"],
        "environment": {"A": "1"},
        "name": "etl",
        "mem_limit": 64 * 1024**2,
        "auto_remove": False,
    }
    assert {name: shown[name] for name in expected} == expected


def test_command_may_be_left_out(infrablocks: CommandLine) -> None:
    """Then it is the image's own, unless --set gives one."""
    assert json.loads(infrablocks("preview", *IMAGE).stdout)["command"] is None
    assert json.loads(infrablocks("preview", *IMAGE, "--").stdout)["command"] is None
    assert json.loads(infrablocks("preview", *IMAGE, "--set", "command=[ls]").stdout)["command"] == ["ls"]


def test_preview_as_command(infrablocks: CommandLine) -> None:
    """The same container as `docker run`; secrets are masked unless asked for."""
    options = ("--as-command", "--env", "PREFECT_API_KEY=hunter2", "--set", "auto_remove=true")
    words = (*IMAGE, *options, "--", "echo", "a b")
    shown = shlex.split(infrablocks("preview", *words).stdout.replace("\\\n", " "))
    assert shown[:2] == ["docker", "run"]
    assert {"--rm", "PREFECT_API_KEY=********"} <= set(shown)
    assert shown[-3:] == ["busybox:1.36", "echo", "a b"]
    assert "PREFECT_API_KEY=hunter2" in infrablocks("preview", "--show-secrets", *words).stdout


def test_preview_of_a_process_is_a_command_anyway(infrablocks: CommandLine) -> None:
    """--as-command changes nothing there."""
    assert infrablocks("preview", "--as-command", "--", "echo", "a b").stdout == "echo 'a b'\n"


def test_file_with_a_container(infrablocks: CommandLine) -> None:
    """A file's block is changed as a process is."""
    (infrablocks.folder / "job.yaml").write_text("type: docker-container\nimage: busybox:1.36\ncommand: [ls]\n")
    assert json.loads(infrablocks("preview", "job.yaml").stdout)["command"] == ["ls"]
    shown = json.loads(infrablocks("preview", "job.yaml", "--set", "user=1000", "--", "pwd").stdout)
    assert (shown["image"], shown["command"], shown["user"]) == ("busybox:1.36", ["pwd"], "1000")


@pytest.mark.parametrize("call", ["run", "preview"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("job.yaml",), "Invalid value for --docker: a block says itself what it runs in"),
        (("job.yaml", "--", "true"), "Invalid value for --docker: a block says itself what it runs in"),
        (("echo", "hello"), "write `--` before the command: -- echo hello"),
    ],
)
def test_wrong_arguments(infrablocks: CommandLine, call: str, words: tuple[str, ...], message: str) -> None:
    """An image takes the place of a file, and the command stands behind `--`."""
    done = infrablocks(call, *IMAGE, *words)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--docker", "Busybox:1"), "image: 'Busybox:1' is not the reference of an image"),
        (("--docker", ""), "image: "),
        ((*IMAGE, "--set", "networks=[a]", "--set", "network_mode=host"), "exclude each other"),
        ((*IMAGE, "--set", "volumes=[a]"), "volumes: "),
        ((*IMAGE, "--set", "memlimit=1g"), "there is no field 'memlimit'; did you mean mem_limit"),
    ],
)
def test_wrong_fields_are_told_in_one_line(infrablocks: CommandLine, words: tuple[str, ...], message: str) -> None:
    """No engine is asked when a field is wrong."""
    done = infrablocks("run", *words, "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@contextmanager
def socket_without_answers(connections: list[socket.socket] | None = None) -> Iterator[str]:
    """Give the DOCKER_HOST of something that takes connections and says nothing; collects them at the end."""
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/silent.sock")
        listener.listen()
        yield f"unix://{folder}/silent.sock"
        listener.setblocking(False)
        with suppress(BlockingIOError):
            while connections is not None:
                connections.append(listener.accept()[0])


@contextmanager
def closed_port() -> Iterator[str]:
    """Give the DOCKER_HOST of a port that nobody listens on, and nobody can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def no_socket() -> Iterator[str]:
    """Give the DOCKER_HOST of a socket that does not exist."""
    yield "unix:///no/such/engine.sock"


def assert_one_line_tells_the_address(done: CompletedProcess[str], code: int, docker_host: str) -> None:
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert f"{docker_host} (DOCKER_HOST)" in done.stderr
    assert done.stderr.count("\n") == 1


CALLS = pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", *IMAGE, "--", "true"), 125),
        (("status", "etl", *CONTAINER), 1),
        (("kill", "etl", *CONTAINER), 1),
        (("logs", "etl", *CONTAINER), 1),
    ],
    ids=["run", "status", "kill", "logs"],
)


@CALLS
@pytest.mark.parametrize("place", [no_socket, closed_port], ids=["no socket", "closed port"])
def test_no_engine(
    infrablocks: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, place: Place
) -> None:
    """One line tells the address that was tried, and what to do, at once."""
    monkeypatch.setattr("infrablocks.docker._session.CONNECT_SECONDS", 2 * WAIT_SECONDS)
    with place() as docker_host:
        began = time.monotonic()
        done = infrablocks(*words, DOCKER_HOST=docker_host, NO_PROXY="*")
        took = time.monotonic() - began
    assert_one_line_tells_the_address(done, code, docker_host)
    assert took < WAIT_SECONDS


@CALLS
def test_engine_that_is_silent(
    infrablocks: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
) -> None:
    """It is tried once, for as long as an engine may take to answer, and told like one that is not there."""
    from infrablocks.docker._session import READ_SECONDS  # noqa: PLC0415 - it loads the SDK

    monkeypatch.setattr("infrablocks.docker._session.CONNECT_SECONDS", 0.2)
    connections: list[socket.socket] = []
    with socket_without_answers(connections) as docker_host:
        began = time.monotonic()
        done = infrablocks(*words, DOCKER_HOST=docker_host)
        took = time.monotonic() - began
    for connection in connections:
        connection.close()
    assert_one_line_tells_the_address(done, code, docker_host)
    assert len(connections) == 1
    assert 0.2 <= took < READ_SECONDS / 2


def test_an_engine_has_less_than_five_seconds(infrablocks: CommandLine) -> None:
    """The whole program ends that soon, whatever its thread still waits for."""
    from infrablocks.docker._session import CONNECT_SECONDS, READ_SECONDS  # noqa: PLC0415 - it loads the SDK

    with socket_without_answers() as docker_host:
        infrablocks.variables["DOCKER_HOST"] = docker_host
        process = infrablocks.start("run", *IMAGE, "--", "true", program=IMPATIENT)
        began = time.monotonic()
        printed, errors = process.communicate()
        took = time.monotonic() - began
    done = CompletedProcess((), process.wait(), printed.decode(), errors.decode())
    assert_one_line_tells_the_address(done, 125, docker_host)
    assert CONNECT_SECONDS < 5
    assert took < READ_SECONDS / 2


def test_context_that_does_not_exist(infrablocks: CommandLine) -> None:
    """The docker context is used as the docker command does it."""
    done = infrablocks("run", *IMAGE, DOCKER_CONTEXT="elsewhere")
    assert done.returncode == 125
    assert done.stderr.startswith("Error: Could not connect to Docker: the docker context 'elsewhere'")
    assert done.stderr.count("\n") == 1


def test_logs_of_a_block_that_runs_nothing(infrablocks: CommandLine) -> None:
    """Not every type has workloads."""
    done = infrablocks("logs", "4711", "--type", "docker-registry")
    assert done.stderr == "Error: A block of the type 'docker-registry' does not run anything.\n"


def test_warnings_of_python_are_log_lines(infrablocks: CommandLine) -> None:
    """What the library tells with `warnings.warn` is a line on stderr, without the place in the code."""
    words = ("preview", *IMAGE, "--env", "PREFECT_API_URL=nowhere")
    done = infrablocks(*words)
    assert done.stderr == (
        "Warning: PREFECT_API_URL 'nowhere' is not a URL with a host. The network mode will not be inferred.\n"
    )
    assert json.loads(done.stdout)["network_mode"] is None
    assert infrablocks(*words, "-q").stderr == ""


def test_container_types_have_a_schema(infrablocks: CommandLine) -> None:
    """`schema docker-container` lists the fields that --set takes."""
    assert "mem_limit" in json.loads(infrablocks("schema", "docker-container").stdout)["properties"]
    assert {"docker-container", "docker-registry"} <= set(infrablocks("schema").stdout.splitlines())
