"""Logs that the API server does not allow to be read: for a moment while it starts, or for good."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from infrablocks._output import Output
from infrablocks.kubernetes import _log_progress
from infrablocks.kubernetes._instances import Instance
from infrablocks.kubernetes._log_progress import LogProgress
from infrablocks.kubernetes._logs import OutputReader
from tests.kubernetes_client.api_server import PODS, Answer, ApiServer, status
from tests.kubernetes_client.clock import Clock

if TYPE_CHECKING:
    from infrablocks.kubernetes._client import Cluster

LOGGER = logging.getLogger("infrablocks.kubernetes-job")
LOG = f"GET {PODS}/job-a/log"
PRINTED = b"2026-01-01T10:00:00.000000001Z one\n2026-01-01T10:00:00.000000002Z two\n"


async def read(cluster: Cluster) -> list[str]:
    """Read the log of a Job that has ended."""
    lines: list[str] = []
    output = Output(lambda _stream, line: lines.append(line))
    reader = OutputReader(cluster, "default", "main", LOGGER)
    try:
        reader.start(output)
        reader.update([Instance("job-a", "uid-a", 0, 0, has_ended=True)])
        await reader.finish()
        await output.finish()
    finally:
        reader.close()
        output.close()
    return lines


@pytest.mark.anyio
@pytest.mark.parametrize("code", [401, 403])
async def test_refusals_that_pass(
    plain_server: ApiServer, cluster: Cluster, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """The log is asked for again, and nothing of it is missing; also not after the first part of it."""
    attempts = 2 if code == 401 else 1  # with new credentials the request is sent once more
    plain_server.answer(LOG, status(code, "", 'User "u" cannot do that'), times=2 * attempts)
    plain_server.answer(LOG, Answer(200, PRINTED.splitlines(keepends=True)[0]))
    plain_server.answer(LOG, status(code, "", 'User "u" cannot do that'), times=2 * attempts)
    plain_server.answer(LOG, Answer(200, PRINTED), times=9)
    assert (await read(cluster), caplog.messages) == (["one\n", "two\n"], [])


@pytest.mark.anyio
async def test_a_right_that_is_missing(
    plain_server: ApiServer, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """After the end of the Job a few attempts are made; then it is told that the output is lost, and why."""
    plain_server.answer(LOG, status(403, "Forbidden", 'User "u" cannot get resource "pods/log"'), times=99)
    assert await read(cluster) == []
    assert 4 <= len(plain_server.lines(LOG)) < 8
    what = "Output of container 'main' of pod default/job-a is lost, its log cannot be read"
    assert caplog.messages == [f'{what}: User "u" cannot get resource "pods/log"']


def test_while_the_job_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is refused is given up after the time in which a cluster that is out of reach is."""
    clock = Clock()
    monkeypatch.setattr(_log_progress, "time", clock)
    progress = LogProgress()
    begun = clock.now
    for seconds in (0.0, 90.0, 179.0):
        clock.now = begun + seconds
        progress.begin(job_ended=False, container_ended=False)
        progress.note_refused("no")
        assert not progress.is_given_up
    clock.now = begun + 181.0
    assert (progress.is_given_up, progress.refusal) == (True, "no")
    progress.begin(job_ended=False, container_ended=False)
    progress.note(whole=False, new=True)
    assert (progress.is_given_up, progress.refusal) == (False, "")
