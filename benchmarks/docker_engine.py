"""The engine that the Docker rows talk to: the one that `DOCKER_HOST` names, or one of the project's test tooling."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from benchmarks import tooling
from benchmarks.counting_proxy import CountingProxy, Requests
from benchmarks.scripts.library import IMAGE, LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench
    from benchmarks.environments import Environment
    from benchmarks.samples import Figures

ENGINES = ("docker29", "docker20")
"""Those of the test tooling, the default first."""

_UNIX = "unix://"
_UP_SECONDS = 900.0
_DOWN_SECONDS = 120.0
_CLIENT_SECONDS = 300.0


@dataclass(frozen=True)
class DockerBench:
    """What a group of Docker rows measures with.

    Attributes:
        bench: The environments and the files.
        host: The engine's address, as in `DOCKER_HOST`.
        engine: Its name and version, for the table.
    """

    bench: Bench
    host: str
    engine: str

    def run(
        self,
        environment: Environment,
        script: str,
        *arguments: str,
        timeout: float = 300,
        stdout: int | IO[bytes] | None = None,
        host: str | None = None,
    ) -> Figures:
        """Run a script as `Bench.run` does, with this engine or another address in `DOCKER_HOST`."""
        variables = {"DOCKER_HOST": host or self.host}
        return self.bench.run(environment, script, *arguments, timeout=timeout, stdout=stdout, variables=variables)

    @contextmanager
    def counting(self) -> Iterator[tuple[str, Requests]]:
        """Give an address that leads to this engine, and the requests that were sent there so far."""
        path = self.bench.directory / "counting.sock"
        with CountingProxy(path, Path(self.host.removeprefix(_UNIX))) as requests:
            yield f"{_UNIX}{path}", requests

    def remove_containers(self) -> None:
        """Remove what the measuring has left in the engine."""
        left = client(self.host, "ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
        if left:
            client(self.host, "rm", "--force", "--volumes", *left)


def client(host: str, *arguments: str) -> str:
    """Call the docker command line, and give what it prints.

    Raises:
        SystemExit: There is none on PATH, or it failed.
    """
    command = ["docker", "--host", host, *arguments]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_CLIENT_SECONDS
        )
    except FileNotFoundError:
        raise SystemExit("The Docker rows need the docker command line on PATH.") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(command)} ended with {error.returncode}: {error.stderr}") from error
    return done.stdout


@contextmanager
def docker_bench(bench: Bench, engine: str) -> Iterator[DockerBench]:
    """Give a bench with an engine, which is taken down at the end if it was brought up here.

    Args:
        bench: The environments and the files.
        engine: Which of the test tooling's; of no matter where `DOCKER_HOST` names one.

    Raises:
        SystemExit: There is no engine to be had, or it is out of the benchmark's reach.
    """
    with _named(engine) as host:
        if not host.startswith(_UNIX):
            raise SystemExit(f"The Docker rows need an engine of this machine on a unix socket, not {host}.")
        client(host, "image", "inspect", IMAGE)
        version = client(host, "version", "--format", "{{.Server.Version}}").strip()
        docker = DockerBench(bench, host, f"Docker {version}")
        try:
            yield docker
        finally:
            docker.remove_containers()


@contextmanager
def _named(engine: str) -> Iterator[str]:
    if host := os.environ.get("DOCKER_HOST"):
        yield host
        return
    try:
        tooling.call("up", engine, seconds=_UP_SECONDS)
        yield f"{_UNIX}{tooling.STATE}/{engine}/api.sock"
    finally:
        tooling.call("down", engine, seconds=_DOWN_SECONDS)
