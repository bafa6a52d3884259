"""What `logs` gives of a Job that was tried several times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from infrablocks._output import Output
from infrablocks.kubernetes._job_calls import JobAddress
from infrablocks.kubernetes._kept_log import copy_kept_log
from tests.kubernetes_client.api_server import PODS, Answer, ApiServer, Request

if TYPE_CHECKING:
    from infrablocks.kubernetes._client import Cluster

pytestmark = pytest.mark.anyio


async def test_attempts_come_in_their_order(plain_server: ApiServer, cluster: Cluster) -> None:
    """The logs of pods come as the pods were made; the cluster lists them by their names."""
    made = {"job-c": "10:00:00", "job-a": "10:00:10", "job-b": "10:00:30"}
    ended = {"terminated": {"exitCode": 4, "reason": "Error"}}
    pods = [
        {
            "metadata": {"name": name, "uid": name, "creationTimestamp": f"2026-01-01T{made[name]}Z"},
            "status": {"phase": "Failed", "containerStatuses": [{"name": "prefect-job", "state": ended}]},
        }
        for name in sorted(made)
    ]
    plain_server.answer(f"GET {PODS}$", Answer(200, {"items": pods}))
    for name in made:
        plain_server.answer(f"GET {PODS}/{name}/log", Answer(200, f"from {name}\n".encode()))
    assert await kept(cluster) == ["from job-c\n", "from job-a\n", "from job-b\n"]


async def test_only_the_last_two_runs_of_a_container_are_kept(
    plain_server: ApiServer, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a container that its pod started again several times, the output that is missing is told of."""
    ended = {"terminated": {"exitCode": 4, "reason": "Error"}}
    container = {"name": "prefect-job", "state": ended, "lastState": ended, "restartCount": 3}
    metadata = {"name": "job-a", "uid": "a", "creationTimestamp": "2026-01-01T10:00:00Z"}
    pod = {"metadata": metadata, "status": {"phase": "Failed", "containerStatuses": [container]}}
    plain_server.answer(f"GET {PODS}$", Answer(200, {"items": [pod]}))

    def log(request: Request) -> Answer:
        return Answer(200, f"previous: {request.query.get('previous')}\n".encode())

    plain_server.answer(f"GET {PODS}/job-a/log", log, times=9)
    assert await kept(cluster) == ["previous: true\n", "previous: None\n"]
    told = (
        "Output of container 'prefect-job' of pod default/job-a is lost, its log cannot be read: it is not kept any "
        "more"
    )
    assert caplog.record_tuples == [("infrablocks.kubernetes-job", logging.WARNING, told)] * 2


async def kept(cluster: Cluster) -> list[str]:
    """Give the lines that `logs` gives."""
    lines: list[str] = []
    output = Output(lambda _stream, line: lines.append(line))
    try:
        await copy_kept_log(cluster, JobAddress("default", "job", "uid"), "prefect-job", output)
        await output.finish()
    finally:
        output.close()
    return lines
