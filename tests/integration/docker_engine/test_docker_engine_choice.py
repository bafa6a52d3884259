"""Which engine is used: `DOCKER_HOST`, TLS, the docker context, and one client for all runs."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from infrablocks._worker_threads import workers
from infrablocks.docker._engine_address import engine_address
from infrablocks.exceptions import InfrastructureNotAvailable
from tests.integration.docker_engine.driving import Lines, run, settings, until

if TYPE_CHECKING:
    from tests.engines import ContainerEngine
    from tests.engines.docker_daemon import DockerDaemon
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]


def write_context(folder: Path, name: str, host: str, certificates: Path | None = None) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if certificates is not None:
        tls = folder / "contexts" / "tls" / key / "docker"
        tls.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (tls / file).write_bytes((certificates / file).read_bytes())


@pytest.mark.parametrize("by", ["variables", "context"])
async def test_tls(daemon: DockerDaemon, test_label: str, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Over TLS a run has the same result and output, streams included, whatever REQUESTS_CA_BUNDLE says."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    if by == "variables":
        monkeypatch.setenv("DOCKER_HOST", daemon.tls_host)
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(daemon.certificates))
    else:
        monkeypatch.delenv("DOCKER_HOST")
        folder = Path(os.environ["DOCKER_CONFIG"])
        write_context(folder, "remote", daemon.tls_host, daemon.certificates)
        monkeypatch.setenv("DOCKER_CONTEXT", "remote")
    lines = Lines()
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo err >&2; exit 3"
    result = await run(settings(script, test_label=test_label), lines)
    assert result.status_code == 3
    assert lines.text("stdout") == "".join(f"line {number}\n" for number in range(2000))
    assert lines.text("stderr") == "err\n"


async def test_tls_without_certificate(daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A connection that the engine refuses for its certificate is an error that has the address."""
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "ca.pem").write_bytes((daemon.certificates / "ca.pem").read_bytes())
    monkeypatch.setenv("DOCKER_HOST", daemon.tls_host)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    with pytest.raises(InfrastructureNotAvailable, match="Could not connect to Docker"):
        await run(settings("true"))


async def test_the_current_context(engine: ContainerEngine, test_label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context of the Docker configuration is used where DOCKER_HOST is not set."""
    monkeypatch.delenv("DOCKER_HOST")
    folder = Path(os.environ["DOCKER_CONFIG"])
    write_context(folder, "mine", engine.docker_host)
    (folder / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    assert (await run(settings("exit 3", test_label=test_label))).status_code == 3


async def test_addresses(tmp_path: Path) -> None:
    """The order of the docker command; a context that is not there and ssh have errors that say what to do."""
    await anyio.to_thread.run_sync(check_addresses, tmp_path)


def check_addresses(tmp_path: Path) -> None:
    none = {"DOCKER_CONFIG": str(tmp_path)}
    assert engine_address(none).url == "unix:///var/run/docker.sock"
    assert engine_address({**none, "DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "x"}).url == "tcp://h:1"
    assert engine_address({**none, "DOCKER_HOST": "h:1"}).url == "tcp://h:1"
    with pytest.raises(InfrastructureNotAvailable, match="docker context ls"):
        engine_address({**none, "DOCKER_CONTEXT": "missing"})
    with pytest.raises(InfrastructureNotAvailable, match="ssh -N -L"):
        engine_address({**none, "DOCKER_HOST": "ssh://user@host"})
    with pytest.raises(InfrastructureNotAvailable, match="DOCKER_CERT_PATH"):
        engine_address({**none, "DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/none"})
    with pytest.raises(InfrastructureNotAvailable, match="has an .@., before which a password may stand"):
        engine_address({**none, "DOCKER_HOST": "tcp://user:secret@h:1"})


async def test_two_engines_at_once(
    proxy: FaultProxy, engine: ContainerEngine, test_label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs with different addresses at the same time each reach their own (PITFALL 54)."""
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            monkeypatch.setenv("DOCKER_HOST", proxy.docker_host if number % 2 else engine.docker_host)
            before = proxy.count("POST /containers/create")
            identifier = anyio.Event()

            class Status:
                def __init__(self, event: anyio.Event) -> None:
                    self.event = event

                def started(self, value: object = None) -> None:
                    assert value
                    self.event.set()

            tasks.start_soon(
                lambda status: run(settings("true", test_label=test_label), task_status=status), Status(identifier)
            )
            await identifier.wait()
            assert proxy.count("POST /containers/create") - before == number % 2


FIRST_USES = """
import asyncio, sys, threading
sys.path.insert(0, {root!r})
from tests.integration.docker_engine.driving import run, settings
codes, errors = [], []
barrier = threading.Barrier(60)
def use():
    try:
        barrier.wait()
        codes.append(asyncio.run(run(settings("exit 3"))).status_code)
    except BaseException as error:
        errors.append(repr(error))
threads = [threading.Thread(target=use) for _ in range(60)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(codes.count(3), errors[:3])
assert len(codes) == 60
"""


async def test_sixty_first_uses_at_once(engine: ContainerEngine) -> None:
    """In a new process sixty threads, each with a loop of its own, begin at the same time, and all run (PITFALL 55)."""
    root = str(Path(__file__).parents[3])
    program = textwrap.dedent(FIRST_USES.format(root=root))
    environment = {**os.environ, "DOCKER_HOST": engine.docker_host}
    done = await anyio.run_process([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert done.stdout.startswith(b"60 []")


@pytest.mark.parametrize("stream_output", [False, True])
async def test_many_watched(proxy: FaultProxy, test_label: str, *, stream_output: bool) -> None:
    """Forty containers need at most three connections and a thread between them, and one more each for their output."""
    each = 40 if stream_output else 0
    running = 0
    all_run, seen = anyio.Event(), anyio.Event()

    class Status:
        def started(self, value: object = None) -> None:
            nonlocal running
            assert value
            running += 1
            if running == 40:
                all_run.set()

    async def look() -> None:
        await all_run.wait()
        await until(lambda: each <= len(proxy.open_now) <= each + 3)
        await until(lambda: _busy_threads() == each + 1)
        seen.set()
        tasks.cancel_scope.cancel()

    async def one() -> None:
        script = "trap 'exit 3' TERM; sleep 1000 & wait"
        await run(settings(script, stream_output=stream_output, test_label=test_label), task_status=Status())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        for _ in range(40):
            tasks.start_soon(one)
    assert seen.is_set()


def _busy_threads() -> int:
    """Count the threads that watch for a run or read its output; those that wait for the next call are nobody's."""
    names = [thread.name for thread in threading.enumerate()]
    idle = workers._idle
    return sum("docker" in name for name in names) + names.count("infrablocks-worker") - idle
