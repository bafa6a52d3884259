"""What goes wrong while a container is made: clear errors, nothing left behind, nothing made twice."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._threads import run_in_worker_thread
from infrablocks.docker import _session
from infrablocks.docker._client import acquire_engine, release_engine
from infrablocks.exceptions import InfrastructureNotAvailable, InvalidSettings, WorkloadCreationError
from tests.integration.docker_engine.driving import FOREVER, Identifier, Lines, run, settings, until
from tests.integration.own_containers import own_containers
from tests.processes import open_files

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.engines import ContainerEngine
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NO_LIMITS = "with cgroup v1 the limits of a container are dropped"
# An error that comes at once; a fault looks for the engine for half a minute, or for three.
AT_ONCE_SECONDS = 20


async def test_a_lost_answer_to_create(proxy: FaultProxy, client: docker.DockerClient, test_label: str) -> None:
    """A container whose making was not confirmed is found by its label and used (PITFALL 22)."""
    proxy.lose_answer("POST /containers/create")
    lines = Lines()
    result = await run(settings("echo once; exit 3", auto_remove=False, test_label=test_label), lines)
    assert result.status_code == 3
    assert lines.text("stdout") == "once\n"
    assert [container.id for container in own_containers(client, test_label)] == [result.identifier]


async def test_an_answer_to_create_that_does_not_come(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own time limit leaves no unknown container either (PITFALLS 11, 22)."""
    monkeypatch.setattr(_session, "READ_SECONDS", 2)
    proxy.hold_answer("POST /containers/create")
    result = await run(settings("exit 3", auto_remove=False, test_label=test_label))
    assert result.status_code == 3
    assert len(own_containers(client, test_label)) == 1


async def test_a_lost_answer_to_start(proxy: FaultProxy, test_label: str) -> None:
    """A command that has run already is not run again."""
    proxy.lose_answer("/start")
    lines = Lines()
    result = await run(settings("echo once; exit 3", test_label=test_label), lines)
    assert result.status_code == 3
    assert lines.text("stdout") == "once\n"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("request_", ["POST /containers/create", "/start", "DELETE"])
async def test_an_answer_of_something_between(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, request_: str, status: int
) -> None:
    """A proxy's 500 or 504 about what the engine has done is not the engine's: one container, run once, removed."""
    proxy.replace_answer(request_, status)
    lines = Lines()
    result = await run(settings("echo once; exit 3", test_label=test_label), lines)
    assert (result.status_code, lines.text("stdout")) == (3, "once\n")
    assert own_containers(client, test_label) == []
    counts = [proxy.count(each) for each in ("POST /containers/create", "/start", "DELETE")]
    assert counts == [1, 1, 2 if request_ == "DELETE" else 1]


@pytest.mark.parametrize("status", [500, 504])
async def test_an_answer_of_something_between_while_it_runs(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, status: int
) -> None:
    """A container that was found by its label, or runs already, is the one that is watched."""
    proxy.replace_answer("POST /containers/create", status)
    proxy.replace_answer("/start", status)
    name = f"one-{test_label}"
    container = settings("sleep 1; echo end; exit 3", auto_remove=False, test_label=test_label, name=name)
    lines = Lines()
    result = await run(container, lines)
    assert (result.status_code, lines.text("stdout")) == (3, "end\n")
    assert [each.id for each in own_containers(client, test_label)] == [result.identifier]
    assert proxy.count("/start") == 1


@pytest.mark.parametrize("request_", ["inspect", "remove"])
async def test_a_lost_answer_afterwards(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, request_: str
) -> None:
    """What is asked at the end is asked again."""
    proxy.lose_answer({"inspect": "GET /containers/[0-9a-f]+/json", "remove": "DELETE"}[request_])
    result = await run(settings("exit 3", test_label=test_label))
    assert result.status_code == 3
    assert own_containers(client, test_label) == []


@pytest.mark.differs_between_engines("the words about a network that is not there")
async def test_a_second_network_that_does_not_exist(client: docker.DockerClient, test_label: str) -> None:
    """The error names the network, and the half-made container is removed (PITFALL 30)."""
    network = client.networks.create(f"first-{test_label}")
    try:
        with pytest.raises(WorkloadCreationError, match="nosuchnetwork"):
            await run(settings("true", test_label=test_label, network=network.name, networks=("nosuchnetwork",)))
        assert own_containers(client, test_label) == []
    finally:
        network.remove()


async def test_two_networks(client: docker.DockerClient, test_label: str) -> None:
    """The container is in both."""
    networks = [client.networks.create(f"{name}-{test_label}") for name in ("first", "second")]
    try:
        names = [str(network.name) for network in networks]
        container = settings("exit 0", auto_remove=False, test_label=test_label, network=names[0], networks=(names[1],))
        result = await run(container)
        inspected = client.api.inspect_container(result.identifier)
        assert set(inspected["NetworkSettings"]["Networks"]) >= set(names)
        client.api.remove_container(result.identifier)
    finally:
        for network in networks:
            network.remove()


@pytest.mark.differs_between_engines("the words about a network that is not there")
async def test_a_network_that_does_not_exist(client: docker.DockerClient, test_label: str) -> None:
    """The error names the network."""
    with pytest.raises(WorkloadCreationError, match="nosuchnetwork"):
        await run(settings("true", test_label=test_label, network="nosuchnetwork"))
    assert own_containers(client, test_label) == []


@pytest.mark.differs_between_engines("the words about a port that is taken")
async def test_a_port_that_is_taken(client: docker.DockerClient, engine: ContainerEngine, test_label: str) -> None:
    """The error has the engine's words, and the second container is removed."""
    with engine.namespace.listen("0.0.0.0") as server:
        port = server.getsockname()[1]
        with pytest.raises(WorkloadCreationError, match=r"already (allocated|in use)|address already|bind"):
            await run(settings(FOREVER, test_label=test_label, ports={"80/tcp": port}))
    assert own_containers(client, test_label) == []


@pytest.mark.differs_between_engines("a minimum of memory: 6 MB or none")
@pytest.mark.denied_to_rootless(NO_LIMITS)
async def test_too_little_memory(client: docker.DockerClient, engine: ContainerEngine, test_label: str) -> None:
    """Docker's own minimum is told in its words; Podman has none and the container cannot start or is killed."""
    container = settings("true", test_label=test_label, mem_limit=1024 * 1024)
    if engine.name == "podman":
        with contextlib.suppress(WorkloadCreationError):
            await run(container)
    else:
        with pytest.raises(WorkloadCreationError, match="6MB"):
            await run(container)
    assert own_containers(client, test_label) == []


async def test_an_argument_that_is_not_known(engine: ContainerEngine, test_label: str) -> None:
    """Nothing is sent."""
    assert engine.is_up()
    with pytest.raises(InvalidSettings, match="nosuch"):
        await run(settings("true", test_label=test_label, nosuch=1))
    with pytest.raises(InvalidSettings, match="log_config|LogConfig"):
        await run(settings("true", test_label=test_label, log_config=3))


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_twenty_of_the_same_name(proxy: FaultProxy, client: docker.DockerClient, test_label: str) -> None:
    """Twenty runs of one name get names with numbers, with at most three creations each (PITFALL 38)."""
    name = f"same-{test_label}"
    await run(settings("true", auto_remove=False, test_label=test_label, name=name))
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(run, settings("true", auto_remove=False, test_label=test_label, name=name))
    names = {str(container.attrs["Names"][0]).lstrip("/") for container in own_containers(client, test_label)}
    assert names == {name, *(f"{name}-{number}" for number in range(1, 21))}
    assert proxy.count("POST /containers/create") <= 61


@pytest.mark.differs_between_engines("a name that is taken: 409 or 500")
async def test_a_name_of_250_characters_that_is_taken(client: docker.DockerClient, test_label: str) -> None:
    """It is cut for the number, and names that were cut before are seen."""
    name = f"same-{test_label}".ljust(250, "x")
    for _ in range(3):
        await run(settings("true", auto_remove=False, test_label=test_label, name=name))
    names = {str(container.attrs["Names"][0]).lstrip("/") for container in own_containers(client, test_label)}
    assert names == {name, f"{name[:248]}-1", f"{name[:248]}-2"}


async def test_a_list_that_is_refused(proxy: FaultProxy, client: docker.DockerClient, test_label: str) -> None:
    """An engine that cannot list because a container vanishes meanwhile is asked again (PITFALL 43)."""
    name = f"same-{test_label}"
    await run(settings("true", auto_remove=False, test_label=test_label, name=name))
    for _ in range(2):
        proxy.replace_answer("GET /containers/json", 500)
    await run(settings("true", auto_remove=False, test_label=test_label, name=name))
    assert {str(each.attrs["Names"][0]).lstrip("/") for each in own_containers(client, test_label)} == {
        name,
        f"{name}-1",
    }


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_failed_runs_leave_no_open_files(engine: ContainerEngine, test_label: str) -> None:
    """As many files are open after 100 failed runs as before (PITFALL 42)."""

    async def fail() -> None:
        with pytest.raises(WorkloadCreationError):
            await run(settings("true", test_label=test_label, network="nosuchnetwork"))

    assert engine.is_up()
    await fail()
    before = open_files()
    for _ in range(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(fail)
    await until(lambda: open_files() <= before)  # threads close what they read when they end


@pytest.mark.parametrize("url", ["unix:///tmp/infrablocks-no-engine.sock", "tcp://127.0.0.1:9"])
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the SDK leaves a socket to the collector
async def test_no_engine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The error has the address that was tried, and comes at once."""
    monkeypatch.setenv("DOCKER_HOST", url)
    started = time.monotonic()
    with pytest.raises(InfrastructureNotAvailable, match="Could not connect to Docker") as caught:
        await run(settings("true"))
    assert time.monotonic() - started < AT_ONCE_SECONDS
    assert url in str(caught.value)


async def test_an_engine_that_does_not_answer(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An engine that hangs is given 5 seconds for its first answer, and not the minute of other requests."""
    assert tmp_path.is_dir()
    proxy.hold_answer("/version")
    started = time.monotonic()
    monkeypatch.setenv("DOCKER_HOST", proxy.docker_host)
    with pytest.raises(InfrastructureNotAvailable, match="did not answer in time"):
        await run(settings("true"))
    assert _session.CONNECT_SECONDS < 5
    assert time.monotonic() - started < _session.READ_SECONDS / 2


@pytest.mark.parametrize("socket_is_left", [False, True], ids=["no socket", "a socket of nobody"])
async def test_an_engine_that_is_gone_when_it_is_known(
    proxy: FaultProxy, test_label: str, *, socket_is_left: bool
) -> None:
    """An engine that refuses to be connected to has got nothing: none is looked for, the error comes at once."""
    engine = await run_in_worker_thread(acquire_engine)  # as another run that goes on
    try:
        assert await run(settings("true", test_label=test_label))
        proxy.path.unlink()
        proxy.refuse()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as nobody:
            if socket_is_left:
                nobody.bind(str(proxy.path))
            started = time.monotonic()
            with pytest.raises(InfrastructureNotAvailable, match="Could not connect to Docker") as caught:
                await run(settings("true", test_label=test_label))
            assert time.monotonic() - started < AT_ONCE_SECONDS
        assert proxy.docker_host in str(caught.value)
        assert proxy.count("/version") == 1
        assert proxy.count("POST /containers/create") == 1
    finally:
        release_engine(engine)


async def test_an_engine_that_goes_while_a_container_is_made(
    proxy: FaultProxy, test_label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that the engine is out of reach, after it was looked for."""
    monkeypatch.setattr("infrablocks.docker._lost_answers.LOOK_SECONDS", 1.0)
    identifier = Identifier()
    for pattern in ("create", "containers/json"):
        for _ in range(10 if pattern != "create" else 1):
            proxy.lose_answer(pattern)
    with pytest.raises(InfrastructureNotAvailable, match="Could not connect to Docker"):
        await run(settings("true", test_label=test_label), task_status=identifier)
