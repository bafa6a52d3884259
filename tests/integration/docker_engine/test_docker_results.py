"""A run tells the exit code that the engine has, and its reason, whatever happens to the container."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from infrablocks._results import Reason
from tests.integration.docker_engine.driving import FOREVER, Identifier, Lines, run, settings
from tests.integration.own_containers import own_containers
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from tests.engines import ContainerEngine
    from tests.engines.docker_daemon import DockerDaemon
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def left(engine: ContainerEngine, label: str) -> list[Any]:
    with contextlib.closing(engine.client()) as client:
        return own_containers(client, label)


# With and without output, with and without removal.
EACH_WAY = list(itertools.product([True, False], [True, False]))


async def run_each_way(script: str, test_label: str, then: Callable[[str], object] | None = None) -> list[Any]:
    """Run a script with and without output and removal, at the same time.

    Args:
        script: What to run.
        test_label: The label of the test.
        then: What to do with each container once it is there.
    """
    results: dict[tuple[bool, bool], Any] = {}

    async def one(*, stream_output: bool, auto_remove: bool) -> None:
        container = settings(script, stream_output=stream_output, auto_remove=auto_remove, test_label=test_label)
        identifier = Identifier()

        async def act() -> None:
            container_id = await identifier.get()
            if then is not None:
                await anyio.to_thread.run_sync(then, container_id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            results[stream_output, auto_remove] = await run(container, task_status=identifier)

    async with anyio.create_task_group() as tasks:
        for stream_output, auto_remove in EACH_WAY:
            tasks.start_soon(functools.partial(one, stream_output=stream_output, auto_remove=auto_remove))
    return [results[way] for way in EACH_WAY]


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize("code", [0, 1, 3, 137])
async def test_exit_codes(engine: ContainerEngine, test_label: str, *, code: int) -> None:
    """The status is the engine's, with and without output and removal (PITFALL 1)."""
    results = await run_each_way(f"exit {code}", test_label)
    assert [result.status_code for result in results] == [code] * 4
    assert {result.reason for result in results} == {{0: Reason.COMPLETED, 137: Reason.KILLED}.get(code, Reason.ERROR)}
    assert {"SIGKILL" in result.message for result in results} == {code == 137}
    kept = {result.identifier for result, (_, auto_remove) in zip(results, EACH_WAY, strict=True) if not auto_remove}
    assert {container.id for container in left(engine, test_label)} == kept


async def test_no_argument_in_the_log(
    engine: ContainerEngine, test_label: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line of any library or level has an argument of the command or a variable's value (PITFALL 62)."""
    caplog.set_level(logging.DEBUG)
    container = settings("exit 3 # word-7d1f", test_label=test_label, environment={"A": "value-5e20"}, name="quiet")
    assert (await run(container)).status_code == 3
    assert engine.is_up()
    assert "quiet" in caplog.text
    assert not {"word-7d1f", "value-5e20"} & set(re.findall(r"\w+-\w+", caplog.text))


async def test_the_result_of_a_run(engine: ContainerEngine, test_label: str) -> None:
    """The result has the id, the times in UTC and a sentence for people."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    result = await run(settings("exit 3", auto_remove=False, test_label=test_label, name=f"results-{test_label}"))
    assert left(engine, test_label)[0].id == result.identifier
    assert result.message == f"Docker container 'results-{test_label}' exited with status code 3."
    assert result.created_at
    assert result.started_at
    assert result.finished_at
    assert before < result.created_at <= result.finished_at
    assert result.started_at <= result.finished_at
    assert result.finished_at.tzinfo is UTC


@pytest.mark.differs_between_engines("a container that is removed: SIGKILL at once, or SIGTERM first")
async def test_removed_while_it_runs(engine: ContainerEngine, client: docker.DockerClient, test_label: str) -> None:
    """`docker rm -f` of a running container gives the code that the engine told, in bounded time (PITFALLS 1, 7)."""
    # Podman 5 sends SIGTERM before SIGKILL, and the script answers that with 7.
    expected = (7, Reason.ERROR) if engine.name == "podman5" else (137, Reason.KILLED)
    with anyio.fail_after(WAIT_SECONDS):
        remove = functools.partial(client.api.remove_container, force=True)
        results = await run_each_way(FOREVER, test_label, then=remove)
    assert [(result.status_code, result.reason) for result in results] == [expected] * 4
    assert left(engine, test_label) == []


@pytest.mark.parametrize("stream_output", [True, False])
async def test_removed_unseen(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str, *, stream_output: bool
) -> None:
    """A container that is removed without a word of its end: -1 and `Removed`, in bounded time (PITFALLS 1, 7)."""
    proxy.fail("/events")
    identifier = Identifier()

    async def remove() -> None:
        container_id = await identifier.get()
        await anyio.to_thread.run_sync(lambda: client.api.remove_container(container_id, force=True))

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(remove)
            container = settings(FOREVER, stream_output=stream_output, test_label=test_label)
            result = await run(container, task_status=identifier)
    assert (result.status_code, result.reason) == (-1, Reason.REMOVED)
    assert "was removed by somebody else before its end was seen" in result.message


@pytest.mark.differs_between_engines("the logs of other drivers, which 20.10 cannot all read")
@pytest.mark.parametrize("driver", ["json-file", "local", "none"])
@pytest.mark.parametrize("stream_output", [True, False])
async def test_log_drivers(daemon: DockerDaemon, test_label: str, *, driver: str, stream_output: bool) -> None:
    """The log driver changes neither status nor output (PITFALL 1)."""
    lines = Lines()
    container = settings(
        "echo out; echo err >&2; exit 3",
        stream_output=stream_output,
        test_label=test_label,
        log_config={"type": driver},
    )
    result = await run(container, lines)
    assert daemon.is_up()
    assert result.status_code == 3
    assert lines.text("stdout") == ("out\n" if stream_output else "")
    assert lines.text("stderr") == ("err\n" if stream_output else "")


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(10, marks=pytest.mark.differs_between_engines("the events of a container that ends at once")),
        100,
    ],
)
async def test_fast_containers_with_auto_remove(engine: ContainerEngine, test_label: str, times: int) -> None:
    """`echo hi; exit 3` gives both, 100 times of 100 (PITFALL 2)."""
    outcomes: list[tuple[int, str]] = []

    async def one(limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            lines = Lines()
            result = await run(settings("echo hi; exit 3", test_label=test_label), lines)
            outcomes.append((result.status_code, lines.text("stdout")))

    limiter = anyio.CapacityLimiter(10)
    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            tasks.start_soon(one, limiter)
    assert outcomes == [(3, "hi\n")] * times
    assert left(engine, test_label) == []


@pytest.mark.differs_between_engines("OOMKilled: told, told too late or not told")
@pytest.mark.denied_to_rootless("with cgroup v1 the limits of a container are dropped")
async def test_out_of_memory(engine: ContainerEngine, test_label: str) -> None:
    """A container that is killed for its memory says so where the engine does; the code is 137 in any case."""
    command = "exec sh -c 'head -c 200m /dev/zero | tail'"
    container = settings(command, test_label=test_label, mem_limit="16m", memswap_limit="16m")
    # Docker 20.10 itself now and then hears of it after the end, and then never says so.
    results = [await run(container) for _ in range(3 if engine.name == "docker20" else 1)]
    assert {(result.status_code, bool(result)) for result in results} == {(137, False)}
    if engine.name != "podman":
        assert Reason.OOM_KILLED in {result.reason for result in results}
        assert any("mem_limit" in result.message for result in results)


@pytest.mark.differs_between_engines("a command that cannot run: 400 and the code 127, or 500 and the code 0")
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize(("command", "code"), [("nosuchcommand", 127), ("/nosuch/path", 127), ("/etc/passwd", 126)])
@pytest.mark.parametrize("stream_output", [True, False])
async def test_a_command_that_cannot_run(
    engine: ContainerEngine, test_label: str, *, command: str, code: int, stream_output: bool
) -> None:
    """It did not start: the code is that of a shell, the reason NotStarted, and nothing is left (PITFALL 30)."""
    result = await run(settings([command], auto_remove=False, stream_output=stream_output, test_label=test_label))
    assert result.status_code == code
    assert result.reason is Reason.NOT_STARTED
    assert str(code) in result.message
    assert command in result.message
    assert left(engine, test_label) == []


# The second attempt lasts until its log is followed, and the third is over before its end would be taken for the last.
SECOND_LASTS = "echo x >> /attempts; if [ $(wc -l < /attempts) = 2 ]; then sleep 2; fi"


@pytest.mark.differs_between_engines("the events and states between the attempts of a restart policy")
@pytest.mark.parametrize("meanwhile", ["true", SECOND_LASTS], ids=["short", "second lasts"])
async def test_a_restart_policy_is_followed_to_its_end(daemon: DockerDaemon, test_label: str, meanwhile: str) -> None:
    """A container that its policy restarts has not ended before the last attempt; the output of each is there."""
    lines = Lines()
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    script = f"echo attempt; {meanwhile}; exit 4"
    result = await run(settings(script, test_label=test_label, restart_policy=policy), lines)
    assert daemon.is_up()
    assert result.status_code == 4
    assert lines.text("stdout") == "attempt\n" * 3
