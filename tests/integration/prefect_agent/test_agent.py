"""The agent of `examples/` brings flow runs of a real Prefect server to their ends, also when it is killed."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.prefect_runs.flow_runs import FINAL
from tests.integration.prefect_runs.forwarder import forwarded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.prefect_server import PrefectServer
    from tests.integration.prefect_agent.conftest import RunningAgent
    from tests.integration.prefect_runs.flow_runs import PrefectApi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ENGINE = ["python", "-m", "prefect.engine"]


def test_a_crash_is_reported(any_kind: RunningAgent, api: PrefectApi) -> None:
    """A command that ends before the engine starts, and an engine that breaks off, are crashes with our message."""
    before = api.deployment(
        "succeeds", any_kind.flows, work_pool_name=any_kind.pool, job_variables={"command": ["sh", "-c", "exit 3"]}
    )
    during = api.deployment("breaks_off", any_kind.flows, work_pool_name=any_kind.pool)
    flow_runs = [api.flow_run(before), api.flow_run(during)]

    any_kind.start()

    assert api.wait_for(flow_runs, FINAL, 60) == {"CRASHED": 2}
    for flow_run in flow_runs:
        message = api.state(flow_run)[2]
        assert message is not None
        assert "exited with status code 3" in message


def test_a_killed_agent_has_a_successor_that_attaches(any_kind: RunningAgent, api: PrefectApi) -> None:
    """What an agent that was killed had started is watched by the next one, which reports how it ended."""
    deployment = api.deployment("breaks_off", any_kind.flows, work_pool_name=any_kind.pool, parameters={"seconds": 3})
    flow_run = api.flow_run(deployment)
    any_kind.start()
    api.wait_for([flow_run], {"RUNNING"}, 60)
    any_kind.kill()

    any_kind.start()

    assert api.wait_for([flow_run], FINAL, 60) == {"CRASHED": 1}
    assert "exited with status code 3" in (api.state(flow_run)[2] or "")


def test_cancellation(any_kind: RunningAgent, api: PrefectApi) -> None:
    """A flow run that is cancelled on the server is killed and reported as cancelled."""
    deployment = api.deployment("sleeps", any_kind.flows, work_pool_name=any_kind.pool, parameters={"seconds": 1000})
    flow_run = api.flow_run(deployment)
    any_kind.start()
    api.wait_for([flow_run], {"RUNNING"}, 60)

    api.set_state(flow_run, "CANCELLING")

    # Before that the engine may call its end by a signal a crash.
    api.wait_for([flow_run], {"CANCELLED"}, 60)
    assert api.state(flow_run)[2] == "Killed, as asked for on the server"


def test_a_failing_flow_is_not_reported_again(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """What the engine has reported itself stays."""
    flow_run = api.flow_run(api.deployment("fails", flows, work_pool_name=processes.pool))

    processes.start()

    assert api.wait_for([flow_run], FINAL, 60) == {"FAILED": 1}


def test_job_variables(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """A flow run's job variables win over its deployment's, and those that do not fit the block are a crash."""
    deployment = api.deployment(
        "succeeds", flows, work_pool_name=processes.pool, job_variables={"command": ["sh", "-c", "exit $CODE"]}
    )
    fits = api.flow_run(deployment, job_variables={"env": {"CODE": 4}})
    does_not_fit = api.flow_run(deployment, job_variables={"timeout_seconds": "soon"})

    processes.start()

    assert api.wait_for([fits, does_not_fit], FINAL, 60) == {"CRASHED": 2}
    assert api.state(fits)[2] == f"Process '{fits.name}' exited with status code 4."
    assert "timeout_seconds" in (api.state(does_not_fit)[2] or "")


def test_the_server_goes_away(processes: RunningAgent, server: PrefectServer, api: PrefectApi, flows: Path) -> None:
    """While the server is away the agent waits, longer and longer, and goes on when it is back."""
    deployment = api.deployment("succeeds", flows, work_pool_name=processes.pool)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with forwarded(listener, server.port):
        processes.use(
            str(flows), type="process", command=ENGINE, detached=True, env={"PREFECT_API_URL": server.api_url}
        )
        processes.start(PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
        first = api.flow_run(deployment)
        assert api.wait_for([first], FINAL, 60) == {"COMPLETED": 1}

    second = api.flow_run(deployment)
    pauses: list[float] = []
    while len(set(pauses)) < 3:
        assert processes.is_running()
        assert len(pauses) < 20
        pauses = [float(seconds) for seconds in re.findall(r"next try in about ([\d.]+) s", processes.log.read_text())]
    # Several calls may wait at the same time: each begins with the same pause.
    assert list(dict.fromkeys(pauses)) == sorted(set(pauses))
    with forwarded(socket.create_server(("127.0.0.1", port)), server.port):
        assert api.wait_for([second], FINAL, 60) == {"COMPLETED": 1}
        processes.kill()


def test_a_pool_that_is_made_later(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """An agent says that the server does not have its pool, and begins when it has."""
    processes.pool = f"{processes.pool}-later"
    processes.start()
    while f"The server has no work pool '{processes.pool}' (yet)" not in processes.log.read_text():
        assert processes.is_running()

    api.work_pool(processes.pool)
    flow_run = api.flow_run(api.deployment("succeeds", flows, work_pool_name=processes.pool))

    assert api.wait_for([flow_run], FINAL, 60) == {"COMPLETED": 1}


@pytest.mark.timeout(600)
def test_fifty_flow_runs_and_an_agent_that_is_killed_twice(
    processes: RunningAgent, api: PrefectApi, flows: Path
) -> None:
    """All of 50 flow runs are completed, each once and never more at once than the limit, by an agent killed twice."""
    deployment = api.deployment("succeeds", flows, work_pool_name=processes.pool)
    flow_runs = [api.flow_run(deployment) for _ in range(50)]
    options = ("--limit=4", "--patience=30")

    for completed in (10, 30):
        processes.start(*options)
        for counts in api.watched(flow_runs, 200):
            assert counts.get("PENDING", 0) + counts.get("RUNNING", 0) <= 4
            if counts.get("COMPLETED", 0) >= completed:
                break
        processes.kill()
    processes.start(*options)

    assert api.wait_for(flow_runs, FINAL, 600) == {"COMPLETED": 50}
    assert {api.get(f"/flow_runs/{flow_run.id}")["run_count"] for flow_run in flow_runs} == {1}
