"""The engines that the other integration tests talk to are what those take them for."""

import contextlib
import signal
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import docker
import docker.errors
import docker.tls
import pytest
from docker.models.containers import Container

from tests.engines import ContainerEngine, images, require
from tests.engines.docker_daemon import DockerDaemon
from tests.engines.go_builds import GoBuild, cached_programs
from tests.engines.paths import CACHE_VARIABLE, STATE_VARIABLE
from tests.engines.processes import ProcessRecord
from tests.engines.registry import PASSWORD, REGISTRY, REPOSITORY, TAG, USER, Registry
from tests.engines.unix_http import get
from tests.processes import WAIT_SECONDS

pytestmark = pytest.mark.integration

# The first process of a container ignores SIGTERM unless it asks for it; Docker would wait ten seconds at its own end.
FOR_A_WHILE = "trap 'exit 0' TERM; sleep 100 & wait"
CREDENTIALS = {"username": USER, "password": PASSWORD}


@pytest.fixture
def own_state(engine: ContainerEngine, own_state_directory: Path) -> Iterator[Path]:
    """A state directory in which the engine is another one, which a test may crash."""
    yield own_state_directory
    engine.down()


def processes_of(engine: ContainerEngine) -> list[ProcessRecord]:
    """Return all processes that use the engine's network: the daemon, its helpers and what holds the namespaces."""
    network = engine.namespace.call(lambda: Path("/proc/thread-self/ns/net").readlink())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if (process / "ns/net").readlink() == network:
                found.append(ProcessRecord.of(int(process.name)))
    return found


def run(client: docker.DockerClient, script: str, **options: Any) -> Container:
    return client.containers.run(images.BUSYBOX, ["sh", "-c", script], detach=True, **options)


def output_of(client: docker.DockerClient, image: str, command: list[str]) -> bytes:
    """Run a container to its end and give what it printed, without following its log: Podman's now and then hangs."""
    container = client.containers.run(image, command, detach=True)
    try:
        container.wait(timeout=WAIT_SECONDS)
        return bytes(container.logs())
    finally:
        container.remove(force=True)


@pytest.mark.differs_between_engines("the engine itself")
def test_the_version_is_the_expected_one(engine: ContainerEngine, client: docker.DockerClient) -> None:
    """A test that names an engine gets that one."""
    assert client.version()["Version"].startswith(engine.version)


@pytest.mark.differs_between_engines("the engine itself")
def test_output_and_exit_code(client: docker.DockerClient) -> None:
    """A container's output and its exit code come back."""
    container = run(client, "echo from inside; exit 3")
    try:
        assert container.wait()["StatusCode"] == 3
        assert container.logs() == b"from inside\n"
    finally:
        container.remove(force=True)


def test_the_entrypoint_image_has_an_entrypoint(client: docker.DockerClient) -> None:
    """The second image prints its arguments instead of running them."""
    assert output_of(client, images.ENTRYPOINT, ["exit", "3"]) == b"exit 3\n"


@pytest.mark.differs_between_engines("how an engine reaches the registry of the tests")
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_pull_with_credentials(client: docker.DockerClient, registry: Registry, by: str) -> None:
    """Every engine reaches the registry under the same name, and gets the image with the password only."""
    repository, tag = f"tests/pull-{by}", uuid.uuid4().hex
    # An image of its own: engines find one with the right digest even under another name.
    digest = registry.client.push(images.busybox().with_label(tag), repository, tag)
    name, version = f"{REGISTRY}/{repository}", tag if by == "tag" else digest
    with pytest.raises(docker.errors.APIError):
        client.images.pull(name, tag=version)
    pulled = client.images.pull(name, tag=version, auth_config=CREDENTIALS)
    try:
        assert pulled.labels == {images.LABEL: tag}
        assert output_of(client, str(pulled.id), ["echo", "pulled"]) == b"pulled\n"
    finally:
        client.images.remove(f"{name}:{tag}" if by == "tag" else f"{name}@{digest}")


def test_the_registry_holds_an_image_from_the_start(client: docker.DockerClient, registry: Registry) -> None:
    """A test that only wants to pull something need not push it."""
    assert registry.is_up()
    assert client.images.pull(f"{REGISTRY}/{REPOSITORY}", tag=TAG, auth_config=CREDENTIALS).id


@pytest.mark.differs_between_engines("how an engine shares the network of its room")
def test_host_network_reaches_a_socket_of_the_test(engine: ContainerEngine, client: docker.DockerClient) -> None:
    """A container with the host's network connects to a socket that the test opened in the engine's network."""
    with engine.namespace.listen("127.0.0.1") as server:
        container = run(client, f"echo hello | nc 127.0.0.1 {server.getsockname()[1]}", network_mode="host")
        try:
            server.settimeout(WAIT_SECONDS)
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"hello\n"
            container.wait()  # Podman cannot remove a container that ends at that moment
        finally:
            container.remove(force=True)


@pytest.mark.differs_between_engines("which log drivers there are")
@pytest.mark.parametrize("driver", ["json-file", "local", "none"])
def test_log_drivers(daemon: DockerDaemon, driver: str) -> None:
    """Docker's daemons have all log drivers that the tests need."""
    client = daemon.client()
    container = run(client, "exit 3", log_config={"type": driver})
    try:
        assert container.wait()["StatusCode"] == 3
    finally:
        container.remove(force=True)
        client.close()


def test_tls_wants_the_clients_certificate(daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is reached over TCP with the certificate, and without it is not."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests takes them over the authority it was given
        monkeypatch.delenv(variable, raising=False)
    directory = daemon.certificates
    tls = docker.tls.TLSConfig(
        client_cert=(str(directory / "cert.pem"), str(directory / "key.pem")),
        ca_cert=str(directory / "ca.pem"),
        verify=True,
    )
    client = docker.DockerClient(base_url=daemon.tls_host, tls=tls)
    assert client.ping()
    client.close()
    stranger = docker.tls.TLSConfig(ca_cert=str(directory / "ca.pem"), verify=True)
    with pytest.raises((docker.errors.DockerException, ssl.SSLError, OSError)):
        docker.DockerClient(base_url=daemon.tls_host, tls=stranger, version="1.41").ping()


@pytest.mark.nightly("twelve restarts; the runs that see a daemon restart, in the gate, need the same of it")
@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("live_restore", [False, True])
def test_restart(restartable_daemon: DockerDaemon, *, live_restore: bool, crash: bool) -> None:
    """With live restore a container survives the daemon's restart, without it it ends."""
    daemon = restartable_daemon
    daemon.set_live_restore(enabled=live_restore)
    client = daemon.client()
    container = run(client, FOR_A_WHILE)
    try:
        if crash:
            daemon.kill()
            assert not daemon.is_up()
        daemon.restart()
        container.reload()
        assert (container.status == "running") == live_restore
    finally:
        container.remove(force=True)
        client.close()


@pytest.mark.differs_between_engines("what a restart of the engine does to containers")
@pytest.mark.parametrize("name", ["podman", "podman5"])
def test_podman_restart_leaves_containers_alone(name: str) -> None:
    """A podman container does not notice that the service was restarted."""
    podman = cast("ContainerEngine", require(name))
    client = podman.client()
    container = run(client, FOR_A_WHILE)
    client.close()  # its connections die with the service
    podman.restart()
    client = podman.client()
    try:
        container = client.containers.get(container.id or "")
        assert container.status == "running"
    finally:
        container.remove(force=True)
        client.close()


def test_up_of_an_engine_that_is_up_changes_nothing(engine: ContainerEngine) -> None:
    """The same process goes on."""
    before = engine.process
    engine.up()
    assert engine.process == before


def test_down_after_a_crash_leaves_nothing(engine: ContainerEngine, own_state: Path) -> None:
    """After the daemon was killed, down ends its helpers and containers, and no mount or control group remains."""
    engine.up()
    with contextlib.closing(engine.client()) as client:
        run(client, "sleep 1000")
        run(client, "trap '' TERM; while :; do sleep 1; done", ports={"80/tcp": 8080})
    processes = processes_of(engine)
    assert len(processes) > 2
    engine.kill()
    assert not engine.is_up()
    assert get(engine.socket, "/_ping") is None  # no helper of the daemon goes on in its place
    engine.down()
    assert not any(process.is_alive() for process in processes)
    assert str(own_state) not in Path("/proc/self/mountinfo").read_text()
    # Every Podman has the same group: what is in use there is of the one of the other tests.
    groups = Path("/sys/fs/cgroup").glob(f"**/{engine.control_group}/*/")
    assert [group for group in groups if not (group / "cgroup.procs").read_text()] == []
    assert [path.name for path in engine.directory.iterdir() if path.suffix != ".log"] == []


def test_up_after_a_crash_starts_anew(engine: ContainerEngine, own_state: Path) -> None:
    """What a crashed engine left is cleaned up, and a new one answers."""
    assert own_state.is_dir()
    engine.up()
    try:
        with contextlib.closing(engine.client()) as client:
            run(client, "sleep 1000")
        processes = processes_of(engine)
        engine.kill()
        engine.up()
        assert not any(process.is_alive() for process in processes)
        with contextlib.closing(engine.client()) as client:
            assert client.containers.list(all=True) == []
    finally:
        engine.down()


def test_a_reused_pid_is_not_signalled() -> None:
    """A record of an earlier process with the same pid neither counts as alive nor stops the present one."""
    with subprocess.Popen(["sleep", "100"]) as sleep:
        record = ProcessRecord.of(sleep.pid)
        for other in (replace(record, started=record.started - 1), replace(record, boot="another")):
            assert not other.is_alive()
            other.stop(grace=1)
        assert record.is_alive()
        record.stop(grace=WAIT_SECONDS)
        assert sleep.wait() == -signal.SIGTERM


def test_images_are_the_same_bytes_every_time() -> None:
    """Images made twice have the same digest, and those with another label another one."""
    first = images.busybox()
    images._busybox_layer.cache_clear()
    assert images.busybox().archive() == first.archive()
    assert images.busybox().with_label("other").archive() != first.archive()


def test_the_cache_key_depends_on_flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another flag gives another directory, so that no old program is taken for a new one."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    build = GoBuild("runc", ("github.com/opencontainers/runc",))
    plain, tagged = (cached_programs("x", "1", [each]) for each in (build, replace(build, tags=("seccomp",))))
    assert plain.parent == tagged.parent == tmp_path
    assert plain.name != tagged.name


@pytest.mark.engines("docker20")
@pytest.mark.parametrize("variable", ["true", "false"])
def test_a_missing_engine(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """In CI a missing engine is a failure, elsewhere a skip; both say how to get it."""
    monkeypatch.setenv(STATE_VARIABLE, "/tmp/infrablocks-no-engines")
    monkeypatch.setenv("CI", variable)
    expected = pytest.fail.Exception if variable == "true" else pytest.skip.Exception
    with pytest.raises(expected, match=r"python -m tests\.engines up docker20"):
        require("docker20")
