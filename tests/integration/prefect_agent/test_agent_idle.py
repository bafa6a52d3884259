"""An agent that only waits costs next to nothing, however much it watches."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.fake_nodes import FakeNodes
from tests.processes import wait_until

if TYPE_CHECKING:
    from tests.engines.cluster import Cluster
    from tests.integration.prefect_agent.conftest import RunningAgent
    from tests.integration.prefect_runs.flow_runs import PrefectApi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(480)]

RUNS = 200
SECONDS = 30.0


def processor_seconds(pid: int) -> float:
    """Say how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_identifiers(api: PrefectApi, pool: str, number: int) -> bool:
    """Say whether the workloads of so many flow runs of a pool are known."""
    time.sleep(1)  # the server is not to be busy with us
    found: list[dict[str, Any]] = []
    body = {"work_pools": {"name": {"any_": [pool]}}}
    while page := api.post("/flow_runs/filter", {**body, "offset": len(found)}):
        found += page
    return sum(bool(flow_run["infrastructure_pid"]) for flow_run in found) >= number


def has_running_pods(cluster: Cluster, namespace: str) -> bool:
    """Say whether the pods of all runs run."""
    pods = cluster.api("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    return [pod["status"].get("phase") for pod in pods] == ["Running"] * RUNS


@pytest.mark.nightly("it makes 200 Jobs only to measure for half a minute, alone, what waiting for them costs")
def test_an_agent_that_watches_many(agent: RunningAgent, api: PrefectApi, second_cluster: Cluster) -> None:
    """An agent that watches 200 Jobs, and looks at the server every five seconds, needs at most 1 % of a core."""
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster, nodes=2, run_seconds=3600) as nodes:
        settings = [
            {"op": "add", "path": f"/spec/template/spec/{name}", "value": value}
            for name, value in nodes.pod_settings.items()
        ]
        agent.variables["KUBECONFIG"] = str(second_cluster.kubeconfig)
        agent.use("/flows", type="kubernetes-job", image="busybox:test", namespace=namespace, customizations=settings)
        deployment = api.deployment("sleeps", agent.flows, work_pool_name=agent.pool)
        for _ in range(RUNS):
            api.flow_run(deployment)
        agent.start(f"--limit={RUNS}", "--interval=5")
        for number in range(10, RUNS + 1, 10):
            wait_until(partial(has_identifiers, api, agent.pool, number))
        wait_until(partial(has_running_pods, second_cluster, namespace))
        time.sleep(5)  # the agent hears of the last ones

        before = processor_seconds(agent.pid)
        time.sleep(SECONDS)

        assert (processor_seconds(agent.pid) - before) / SECONDS <= 0.01
        agent.kill()
