"""The agent of `examples/`, started as a program and killed, at a real Prefect server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from tests.engines import CONTAINER_ENGINES, prefect_image, require
from tests.integration.prefect_runs.forwarder import forwarded
from tests.integration.prefect_runs.server_fixtures import api, flows, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import ContainerEngine
    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes
    from tests.engines.prefect_server import PrefectServer
    from tests.integration.prefect_runs.flow_runs import PrefectApi

__all__ = ["api", "flows", "server"]

AGENT = Path(__file__).parents[3] / "examples" / "agent.py"


class RunningAgent:
    """The agent of one work pool, with its block and its log, which its successors share.

    Attributes:
        flows: The directory of `flows.py` as its workloads see it.

    Args:
        pool: The name of the work pool.
        directory: For its files.
        variables: Its environment.
    """

    def __init__(self, pool: str, directory: Path, variables: dict[str, str]) -> None:
        self.pool = pool
        self.flows: str = ""
        self.log = directory / "agent.log"
        self.log.touch()
        self._block = directory / "block.yaml"
        self.variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the agent that was started last."""
        assert self._process is not None
        return self._process.pid

    def use(self, flows: str, **block: Any) -> None:
        """Write the block that it reads when it is started, whose workloads see the flows in a directory."""
        self.flows = flows
        self._block.write_text(yaml.safe_dump(block))

    def start(self, *options: str, **variables: str) -> None:
        """Start it, with more options and variables."""
        command = [sys.executable, str(AGENT), f"--pool={self.pool}", f"--block={self._block}", "--interval=0.3"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], env={**self.variables, **variables}, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """Send it SIGKILL; it must have been running."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL, self.log.read_text()

    def is_running(self) -> bool:
        """Say whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None


@pytest.fixture
def agent(api: PrefectApi, server: PrefectServer, tmp_path: Path) -> Iterator[RunningAgent]:
    """The agent of a new work pool, not started yet."""
    variables = {**os.environ, **server.client_environment(tmp_path / "prefect"), "PYTHONUNBUFFERED": "1"}
    agent = RunningAgent(api.work_pool(), tmp_path, variables)
    yield agent
    if agent.is_running():
        agent.kill()
    sys.stdout.write(agent.log.read_text())  # pytest shows it when the test has failed


@pytest.fixture
def processes(agent: RunningAgent, flows: Path) -> RunningAgent:
    """An agent that runs flow runs as processes which outlive it."""
    agent.use(str(flows), type="process", command=["python", "-m", "prefect.engine"], detached=True)
    return agent


_at_night = pytest.mark.nightly("it runs alone, as it uses two groups of engines; process and docker29 show the same")


@pytest.fixture(
    params=[
        *("process", "docker29"),
        *(pytest.param(name, marks=_at_night) for name in (*CONTAINER_ENGINES, "kubernetes") if name != "docker29"),
    ]
)
def any_kind(
    request: pytest.FixtureRequest, agent: RunningAgent, server: PrefectServer, flows: Path
) -> Iterator[RunningAgent]:
    """An agent for each kind of block in turn."""
    with contextlib.ExitStack() as stack:
        if request.param == "process":
            request.getfixturevalue("processes")
        elif request.param == "kubernetes":
            stack.enter_context(_jobs(agent, server, flows, request.getfixturevalue("runner")))
        else:
            stack.enter_context(_containers(agent, server, flows, cast("ContainerEngine", require(request.param))))
        yield agent


@contextlib.contextmanager
def _containers(agent: RunningAgent, server: PrefectServer, flows: Path, engine: ContainerEngine) -> Iterator[None]:
    image = prefect_image.load(engine)
    agent.variables["DOCKER_HOST"] = engine.docker_host
    block = {"type": "docker-container", "image": image, "image_pull_policy": "NEVER", "auto_remove": True}
    agent.use("/flows", **block, volumes=[f"{flows}:/flows:ro"])
    with forwarded(engine.namespace.listen("0.0.0.0", server.port), server.port):
        yield


@contextlib.contextmanager
def _jobs(agent: RunningAgent, server: PrefectServer, flows: Path, runner: Account) -> Iterator[None]:
    cluster = cast("Kubernetes", require("kubernetes"))
    address = cluster.node.network.machine_address
    agent.variables["KUBECONFIG"] = str(runner.kubeconfig)
    spec = "/spec/template/spec"
    volume = {"name": "flows", "hostPath": {"path": str(flows)}}
    mount = {"name": "flows", "mountPath": "/flows", "readOnly": True}
    agent.use(
        "/flows",
        type="kubernetes-job",
        image=prefect_image.load_into_cluster(cluster),
        namespace=runner.namespace,
        env={"PREFECT_API_URL": f"http://{address}:{server.port}/api"},
        customizations=[
            {"op": "add", "path": f"{spec}/volumes", "value": [volume]},
            {"op": "add", "path": f"{spec}/containers/0/volumeMounts", "value": [mount]},
        ],
    )
    with forwarded(socket.create_server((address, server.port)), server.port):
        yield
