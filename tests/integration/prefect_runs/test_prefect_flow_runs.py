"""Flow runs of a real Prefect server run through each kind of block."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

import pytest

from infrablocks import DockerContainer, KubernetesClusterConfig, KubernetesJob, Process, Reason
from infrablocks.submission import submit_flow_run
from tests.engines import CONTAINER_ENGINES, prefect_image, require
from tests.integration.prefect_runs.forwarder import forwarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines import ContainerEngine
    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes
    from tests.engines.prefect_server import PrefectServer
    from tests.integration.prefect_runs.flow_runs import PrefectApi

pytestmark = pytest.mark.integration

_at_night = pytest.mark.nightly("it runs alone, as it uses two groups of engines; docker29 shows the same")
_one_flow_run = pytest.mark.nightly(
    "it runs alone, as it uses two engines; that a flow run is completed through a Job is in the gate"
)


@pytest.fixture(
    params=["docker29", *(pytest.param(name, marks=_at_night) for name in CONTAINER_ENGINES if name != "docker29")]
)
def engine(request: pytest.FixtureRequest) -> ContainerEngine:
    """Each container engine in turn."""
    return cast("ContainerEngine", require(request.param))


@pytest.fixture
def process(server: PrefectServer, tmp_path: Path) -> Process:
    """A block that runs the flow runs of the server as processes."""
    variables = dict(server.client_environment(tmp_path / "home"))
    return Process(command=[str(server.python), "-m", "prefect.engine"], env=variables)


@pytest.fixture
def container(
    engine: ContainerEngine, server: PrefectServer, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerContainer]:
    """A block that runs the flow runs of the server as containers, which find the server at the same address."""
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    image = prefect_image.load(engine)
    with forwarded(engine.namespace.listen("0.0.0.0", server.port), server.port):
        yield DockerContainer(image=image, image_pull_policy="NEVER", auto_remove=True, volumes=[f"{flows}:/flows:ro"])


@pytest.fixture
def job(
    cluster: Kubernetes, runner: Account, kubernetes_namespace: str, server: PrefectServer, flows: Path
) -> Iterator[KubernetesJob]:
    """A block that runs the flow runs of the server as Jobs, whose pods reach it at the machine's address."""
    address = cluster.node.network.machine_address
    image = prefect_image.load_into_cluster(cluster)
    spec = "/spec/template/spec"
    volume = {"name": "flows", "hostPath": {"path": str(flows)}}
    mount = {"name": "flows", "mountPath": "/flows", "readOnly": True}
    with forwarded(socket.create_server((address, server.port)), server.port):
        yield KubernetesJob(
            image=image,
            namespace=kubernetes_namespace,
            cluster_config=KubernetesClusterConfig.from_file(runner.kubeconfig),
            env={"PREFECT_API_URL": f"http://{address}:{server.port}/api"},
            customizations=[
                {"op": "add", "path": f"{spec}/volumes", "value": [volume]},
                {"op": "add", "path": f"{spec}/containers/0/volumeMounts", "value": [mount]},
            ],
        )


@pytest.mark.parametrize("server", ["prefect", "prefect2"], indirect=True)
@pytest.mark.differs_between_engines("each version of Prefect has an engine of its own, which executes the flow run")
def test_a_process_completes_a_flow_run(process: Process, api: PrefectApi, flows: Path) -> None:
    """A flow run that goes through a process is completed on the server."""
    flow_run = api.flow_run(api.deployment("succeeds", flows))
    assert api.state(flow_run)[0] == "SCHEDULED"

    result = submit_flow_run(flow_run, process)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[:2] == ("COMPLETED", "Completed")


def test_a_failing_flow_in_a_process(process: Process, api: PrefectApi, flows: Path) -> None:
    """A flow that raises is failed on the server; Prefect's engine, which has said so there, itself ends well."""
    flow_run = api.flow_run(api.deployment("fails", flows))

    result = submit_flow_run(flow_run, process)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    kind, name, message = api.state(flow_run)
    assert (kind, name) == ("FAILED", "Failed")
    assert message is not None
    assert "told to fail" in message


def test_a_process_that_breaks_off(process: Process, api: PrefectApi, flows: Path) -> None:
    """What ends without a word to the server has its own code and reason, and to the server it still runs."""
    flow_run = api.flow_run(api.deployment("breaks_off", flows))

    result = submit_flow_run(flow_run, process)

    assert (result.status_code, result.reason) == (3, Reason.ERROR)
    assert api.state(flow_run)[0] == "RUNNING"


def test_a_container_completes_a_flow_run(container: DockerContainer, api: PrefectApi) -> None:
    """A flow run that goes through a container is completed on the server."""
    flow_run = api.flow_run(api.deployment("succeeds", "/flows"))

    result = submit_flow_run(flow_run, container)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[:2] == ("COMPLETED", "Completed")


def test_a_failing_flow_in_a_container(container: DockerContainer, api: PrefectApi) -> None:
    """A flow that raises is failed on the server; Prefect's engine, which has said so there, itself ends well."""
    flow_run = api.flow_run(api.deployment("fails", "/flows"))

    result = submit_flow_run(flow_run, container)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[0] == "FAILED"


def test_a_container_that_breaks_off(container: DockerContainer, api: PrefectApi) -> None:
    """What ends without a word to the server has its own code and reason, and to the server it still runs."""
    flow_run = api.flow_run(api.deployment("breaks_off", "/flows"))

    result = submit_flow_run(flow_run, container)

    assert (result.status_code, result.reason) == (3, Reason.ERROR)
    assert api.state(flow_run)[0] == "RUNNING"


@pytest.mark.denied_to_rootless("a container on a bridge does not reach the loopback of its machine, the only address")
def test_a_container_on_a_bridge_completes_a_flow_run(
    container: DockerContainer, engine: ContainerEngine, server: PrefectServer, api: PrefectApi
) -> None:
    """A container with a network of its own reaches the host's server by the name that takes the place of localhost."""
    flow_run = api.flow_run(api.deployment("succeeds", "/flows"))
    settings: dict[str, object] = {"network_mode": "bridge"}
    if engine.name == "podman":  # before 4.7 it has another name for it
        settings["env"] = {"PREFECT_API_URL": f"http://host.containers.internal:{server.port}/api"}

    result = submit_flow_run(flow_run, container.model_copy(update=settings))

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[:2] == ("COMPLETED", "Completed")


def test_a_job_completes_a_flow_run(job: KubernetesJob, api: PrefectApi) -> None:
    """A flow run that goes through a Job is completed on the server."""
    flow_run = api.flow_run(api.deployment("succeeds", "/flows"))

    result = submit_flow_run(flow_run, job)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[:2] == ("COMPLETED", "Completed")


@_one_flow_run
def test_a_failing_flow_in_a_job(job: KubernetesJob, api: PrefectApi) -> None:
    """A flow that raises is failed on the server; Prefect's engine, which has said so there, itself ends well."""
    flow_run = api.flow_run(api.deployment("fails", "/flows"))

    result = submit_flow_run(flow_run, job)

    assert (result.status_code, result.reason) == (0, Reason.COMPLETED)
    assert api.state(flow_run)[0] == "FAILED"


@_one_flow_run
def test_a_job_that_breaks_off(job: KubernetesJob, api: PrefectApi) -> None:
    """What ends without a word to the server has its own code and reason, and to the server it still runs."""
    flow_run = api.flow_run(api.deployment("breaks_off", "/flows"))

    result = submit_flow_run(flow_run, job)

    assert result.status_code == 3
    assert api.state(flow_run)[0] == "RUNNING"
