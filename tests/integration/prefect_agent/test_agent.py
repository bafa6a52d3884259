"""The agent of `examples/` brings flow runs of a real Prefect server to their ends, also when it is killed."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from infrablocks._watch_records import watched_keys
from tests.integration.prefect_runs.flow_runs import FINAL
from tests.integration.prefect_runs.forwarder import forwarded
from tests.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.prefect_server import PrefectServer
    from tests.integration.prefect_agent.conftest import RunningAgent
    from tests.integration.prefect_runs.flow_runs import PrefectApi

pytestmark = pytest.mark.integration

ENGINE = ["python", "-m", "prefect.engine"]


def test_a_crash_is_reported(any_kind: RunningAgent, api: PrefectApi) -> None:
    """A command that ends before the engine starts, and an engine that breaks off, are crashes with our message."""
    before = api.deployment(
        "succeeds", any_kind.flows, work_pool_name=any_kind.pool, job_variables={"command": ["sh", "-c", "exit 3"]}
    )
    during = api.deployment("breaks_off", any_kind.flows, work_pool_name=any_kind.pool)
    flow_runs = [api.flow_run(before), api.flow_run(during)]

    any_kind.start()

    assert api.wait_for(flow_runs, FINAL) == {"CRASHED": 2}
    for flow_run in flow_runs:
        message = api.state(flow_run)[2]
        assert message is not None
        assert "exited with status code 3" in message


def test_a_killed_agent_has_a_successor_that_attaches(any_kind: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """What an agent that was killed had started is watched by the next one, which reports how it ended."""
    parameters = {"when_there_is": f"{any_kind.flows}/sign"}
    deployment = api.deployment("breaks_off", any_kind.flows, work_pool_name=any_kind.pool, parameters=parameters)
    flow_run = api.flow_run(deployment)
    any_kind.start()
    api.wait_for([flow_run], {"RUNNING"})
    any_kind.kill()
    assert watched_keys() == set()

    any_kind.start()
    wait_until(watched_keys)
    (flows / "sign").touch()

    assert api.wait_for([flow_run], FINAL) == {"CRASHED": 1}
    assert "exited with status code 3" in (api.state(flow_run)[2] or "")


def test_cancellation(any_kind: RunningAgent, api: PrefectApi) -> None:
    """A flow run that is cancelled on the server is killed and reported as cancelled."""
    deployment = api.deployment("sleeps", any_kind.flows, work_pool_name=any_kind.pool, parameters={"seconds": 1000})
    flow_run = api.flow_run(deployment)
    any_kind.start()
    api.wait_for([flow_run], {"RUNNING"})

    api.set_state(flow_run, "CANCELLING")

    # Before that the engine may call its end by a signal a crash.
    api.wait_for([flow_run], {"CANCELLED"})
    assert api.state(flow_run)[2] == "Killed, as asked for on the server"


def test_a_failing_flow_is_not_reported_again(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """What the engine has reported itself stays."""
    flow_run = api.flow_run(api.deployment("fails", flows, work_pool_name=processes.pool))

    processes.start()

    assert api.wait_for([flow_run], FINAL) == {"FAILED": 1}


def test_job_variables(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """A flow run's job variables win over its deployment's, and those that do not fit the block are a crash."""
    deployment = api.deployment(
        "succeeds", flows, work_pool_name=processes.pool, job_variables={"command": ["sh", "-c", "exit $CODE"]}
    )
    fits = api.flow_run(deployment, job_variables={"env": {"CODE": 4}})
    does_not_fit = api.flow_run(deployment, job_variables={"timeout_seconds": "soon"})

    processes.start()

    assert api.wait_for([fits, does_not_fit], FINAL) == {"CRASHED": 2}
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
        assert api.wait_for([first], FINAL) == {"COMPLETED": 1}

    second = api.flow_run(deployment)

    def pauses() -> list[float]:
        assert processes.is_running()
        return [float(seconds) for seconds in re.findall(r"next try in about ([\d.]+) s", processes.log.read_text())]

    wait_until(lambda: len(set(pauses())) >= 3)
    # Several calls may wait at the same time: each begins with the same pause.
    assert list(dict.fromkeys(told := pauses())) == sorted(set(told))
    with forwarded(socket.create_server(("127.0.0.1", port)), server.port):
        assert api.wait_for([second], FINAL) == {"COMPLETED": 1}
        processes.kill()


def test_a_pool_that_is_made_later(processes: RunningAgent, api: PrefectApi, flows: Path) -> None:
    """An agent says that the server does not have its pool, and begins when it has."""
    processes.pool = f"{processes.pool}-later"
    processes.start()
    complaint = f"The server has no work pool '{processes.pool}' (yet)"
    wait_until(lambda: complaint in processes.log.read_text())

    api.work_pool(processes.pool)
    flow_run = api.flow_run(api.deployment("succeeds", flows, work_pool_name=processes.pool))

    assert api.wait_for([flow_run], FINAL) == {"COMPLETED": 1}


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "number",
    [12, pytest.param(50, marks=pytest.mark.nightly("twelve show the same in a quarter of the time"))],
)
def test_flow_runs_and_an_agent_that_is_killed_twice(
    number: int, processes: RunningAgent, api: PrefectApi, flows: Path
) -> None:
    """All flow runs are completed, each once and never more at once than the limit, by an agent killed twice."""
    deployment = api.deployment("succeeds", flows, work_pool_name=processes.pool)
    flow_runs = [api.flow_run(deployment) for _ in range(number)]
    limit = 2

    for completed in (number // 5, 3 * number // 5):
        processes.start(f"--limit={limit}")
        for found in api.watched(flow_runs):
            states = [one["state_type"] for one in found]
            # What an agent had claimed and not yet told of when it was killed, the next one cannot know.
            known = [one for one in found if one["infrastructure_pid"] and one["state_type"] in {"PENDING", "RUNNING"}]
            assert len(known) <= limit
            if states.count("COMPLETED") >= completed:
                break
        processes.kill()
    processes.start(f"--limit={limit}")

    assert api.wait_for(flow_runs, FINAL) == {"COMPLETED": number}
    assert {api.get(f"/flow_runs/{flow_run.id}")["run_count"] for flow_run in flow_runs} == {1}
