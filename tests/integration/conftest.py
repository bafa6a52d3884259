"""Fixtures that hand out real engines; a test whose engine is not up is skipped, or fails in CI."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import docker
import pytest

from tests.engines import CONTAINER_ENGINES, ContainerEngine, require
from tests.engines.availability import only
from tests.engines.cluster import Cluster
from tests.engines.cluster_access import Account
from tests.engines.docker_daemon import DockerDaemon
from tests.engines.kubernetes import Kubernetes
from tests.engines.paths import STATE_VARIABLE
from tests.engines.registry import Registry
from tests.integration import denied_to_rootless
from tests.integration.denied_to_rootless import pytest_runtest_makereport
from tests.integration.engine_groups import assign_groups, engines_of, hold
from tests.integration.least_rights import documented_rules
from tests.integration.own_containers import LABEL, remove_own_containers, use_engine
from tests.nightly import parameters_of

__all__ = ["pytest_runtest_makereport"]

_OTHER_ENGINES = set(CONTAINER_ENGINES) - {"docker29"}


# First of all: xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its process, skip what is denied, and leave trio on the other container engines to the night."""
    here = [item for item in items if _is_here(item)]
    for item in filter(_is_trio_on_another_engine, here):
        item.add_marker(pytest.mark.nightly("trio: where the two event loops differ, the engines do not"))
    denied_to_rootless.pytest_collection_modifyitems(here)
    assign_groups(here)
    items[:] = [item for item in items if not _is_here(item)] + here


def _is_trio_on_another_engine(item: pytest.Item) -> bool:
    parameters = set(parameters_of(item))
    return "trio" in parameters and bool(parameters & _OTHER_ENGINES)


def _is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep a test to the engines that it has declared."""
    with only(engines_of(item)):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep other processes from these engines."""
    hold(engines_of(item))


@pytest.fixture(params=CONTAINER_ENGINES)
def engine(request: pytest.FixtureRequest) -> ContainerEngine:
    """Each container engine in turn."""
    return cast("ContainerEngine", require(request.param))


@pytest.fixture
def client(engine: ContainerEngine) -> Iterator[docker.DockerClient]:
    """A client of the SDK for the engine."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture
def engine_in_use(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ContainerEngine:
    """Each container engine in turn, as that of the environment."""
    use_engine(engine.docker_host, monkeypatch, tmp_path)
    return engine


@pytest.fixture
def own_labels(client: docker.DockerClient) -> Iterator[dict[str, str]]:
    """Labels of this test's containers; what is left of them at the end is removed."""
    label = uuid.uuid4().hex
    yield {LABEL: label}
    remove_own_containers(client, label)


@pytest.fixture(params=["docker20", "docker29"])
def daemon(request: pytest.FixtureRequest) -> DockerDaemon:
    """Each Docker daemon in turn."""
    return cast("DockerDaemon", require(request.param))


@pytest.fixture
def restartable_daemon(daemon: DockerDaemon) -> Iterator[DockerDaemon]:
    """A daemon that the test may restart or kill, and reconfigure."""
    yield daemon
    # Docker 20.10 needs it most: once started with a container still running, it gives all later ones the address
    # "<nil>" for host-gateway.
    daemon.restart(live_restore=False)


@pytest.fixture
def own_state_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory in which every engine is another one, which is down."""
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as directory:  # a socket's path must be short
        monkeypatch.setenv(STATE_VARIABLE, directory)
        yield Path(directory)


@pytest.fixture
def registry() -> Registry:
    """The registry that asks for a password."""
    return cast("Registry", require("registry"))


@pytest.fixture
def cluster() -> Kubernetes:
    """The cluster with a node that runs pods."""
    return cast("Kubernetes", require("kubernetes"))


@pytest.fixture
def second_cluster() -> Cluster:
    """Another cluster, whose pods only fake nodes play."""
    return cast("Cluster", require("kubernetes2"))


@pytest.fixture
def kubernetes_namespace(cluster: Kubernetes) -> Iterator[str]:
    """A namespace of the test's own, removed with all that is in it."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def runner(cluster: Kubernetes, kubernetes_namespace: str) -> Account:
    """Who runs Jobs: somebody with the rights that the documentation asks for, and no others."""
    return cluster.service_account(kubernetes_namespace, rules=documented_rules(), name="runner")
