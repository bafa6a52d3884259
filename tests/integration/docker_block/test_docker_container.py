"""`DockerContainer` as its users have it, on each engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr

from infrablocks import (
    DockerContainer,
    DockerContainerResult,
    ImagePullError,
    InfrastructureNotFound,
    Reason,
    WorkloadStatus,
)
from infrablocks._threads import ThreadsafeEvent
from tests.movable_time_limit import MovableTimeLimit
from tests.processes import WAIT_SECONDS, Lines

if TYPE_CHECKING:
    import docker
    from anyio.abc import TaskStatus

# Podman 4.3 does not know host-gateway, which is said in a warning.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:`host.docker.internal` could not be"),
]

FOREVER = "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done"


def block(script: str, labels: dict[str, str], **fields: Any) -> DockerContainer:
    """Give a block that runs a piece of shell in busybox."""
    return DockerContainer(
        **{
            "image": "busybox:test",
            "command": ["sh", "-c", script],
            "labels": labels,
            "auto_remove": True,
            **fields,
        }
    )


class Running:
    """A run in a task of its own, which tells when its first line has come."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._printed = ThreadsafeEvent()
        self.result: Any = None

    async def __call__(self, *, task_status: TaskStatus[str]) -> None:
        self.result = await self._container.run(task_status, output=lambda _stream, _line: self._printed.set())

    async def first_line(self) -> None:
        """Wait until it has printed something."""
        with anyio.fail_after(WAIT_SECONDS):
            await self._printed.wait()


@pytest.mark.differs_between_engines("the times and the state of a container that has ended")
async def test_result(labels: dict[str, str]) -> None:
    """A run gives the container's own code, its id, a message and times in order; both streams arrive."""
    lines = Lines()
    before = datetime.now(UTC)
    result = await block("echo out; echo err >&2; exit 3", labels, name="etl").run(output=lines)
    assert isinstance(result, DockerContainerResult)
    assert (result.status_code, result.reason, len(result.identifier)) == (3, Reason.ERROR, 64)
    assert "exited with status code 3" in result.message
    assert sorted(lines) == [("stderr", "err\n"), ("stdout", "out\n")]
    assert result.created_at is not None
    assert result.started_at is not None
    assert result.finished_at is not None
    assert before <= result.created_at <= result.started_at <= result.finished_at <= datetime.now(UTC)


async def test_started_gets_the_id_and_the_other_calls_take_it(labels: dict[str, str]) -> None:
    """`started` gets the container's id, with which another block asks for its status and ends it."""
    running = Running(block(FOREVER, labels))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        assert await DockerContainer().status(identifier) is WorkloadStatus.RUNNING
        await DockerContainer().kill(identifier, grace_seconds=WAIT_SECONDS)
    assert (running.result.identifier, running.result.status_code) == (identifier, 7)
    with pytest.raises(InfrastructureNotFound, match=f"no container '{identifier}'"):
        await DockerContainer().status(identifier)
    with pytest.raises(InfrastructureNotFound, match=f"no container '{identifier}'"):
        await DockerContainer().kill(identifier)


async def test_environment(labels: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables arrive, secrets too; None takes away what would have come from the Prefect settings."""
    monkeypatch.setenv("PREFECT_API_URL", "http://example.test/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu")
    lines = Lines()
    env = {"A": "1 2", "B": SecretStr("s"), "PREFECT_LOGGING_LEVEL": None, "N": 1.5}
    script = 'echo "$A|$B|$N|$PREFECT_API_URL|$PREFECT_API_KEY|${PREFECT_LOGGING_LEVEL-unset}|${PREFECT_HOME-unset}"'
    assert await block(script, labels, env=env).run(output=lines)
    assert lines.text() == "1 2|s|1.5|http://example.test/api|pnu|unset|unset\n"


async def test_cancelled_run_leaves_the_container(labels: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """By default a cancelled run leaves its container, says so, and `attach` gives the result and the whole output."""
    running = Running(block(FOREVER, labels, auto_remove=False))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        tasks.cancel_scope.cancel()
    assert f"attach('{identifier}')" in caplog.text
    lines = Lines()
    async with anyio.create_task_group() as tasks:

        async def attach() -> None:
            result = await DockerContainer().attach(identifier, output=lines)
            assert result.status_code == 7

        tasks.start_soon(attach)
        await DockerContainer().kill(identifier)
    assert lines.text() == "running\n"
    assert await DockerContainer().status(identifier) is WorkloadStatus.FAILED


async def test_cancelled_run_kills_the_container(labels: dict[str, str], client: docker.DockerClient) -> None:
    """With `on_cancel="kill"` nothing is left of the container when the cancelled run has returned."""
    running = Running(block(FOREVER, labels, on_cancel="kill"))
    async with anyio.create_task_group() as tasks:
        identifier = await tasks.start(running)
        await running.first_line()
        tasks.cancel_scope.cancel()
    assert identifier not in {container.id for container in client.containers.list(all=True, sparse=True)}


async def test_time_limit(labels: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that ends well when its time limit has passed is no success: -1, with the reason DeadlineExceeded."""
    limit = MovableTimeLimit(monkeypatch)
    script = "trap 'exit 0' TERM; echo running; while :; do sleep 0.05; done"
    container = block(script, labels, timeout_seconds=limit.seconds)
    result = await container.run(output=lambda _stream, _line: limit.pass_now())
    assert (result.status_code, result.reason) == (-1, Reason.DEADLINE_EXCEEDED)


async def test_image_that_is_not_there(labels: dict[str, str]) -> None:
    """NEVER pulls nothing: the error names the image and the policy."""
    missing = block("true", labels, image="busybox:no-such-tag", image_pull_policy="never")
    with pytest.raises(ImagePullError, match="busybox:no-such-tag.*NEVER"):
        await missing.run()


@pytest.mark.differs_between_engines("a command that cannot run: 400 and the code 127, or 500 and the code 0")
@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
async def test_command_that_cannot_be_run(labels: dict[str, str], command: str, code: int) -> None:
    """A command that is missing is 127, one that is not executable 126, on every engine, and nothing is left."""
    result = await block("", labels).model_copy(update={"command": [command]}).run()
    assert (result.status_code, result.reason) == (code, Reason.NOT_STARTED)


@pytest.mark.differs_between_engines("a name that is taken: 409 or 500")
async def test_names(labels: dict[str, str], client: docker.DockerClient) -> None:
    """Runs of the same name at the same time get names that tell them apart."""
    runs = [Running(block(FOREVER, labels, name="same name")) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        identifiers = [await tasks.start(run) for run in runs]
        for run in runs:
            await run.first_line()
        names = {client.containers.get(identifier).name for identifier in identifiers}
        for identifier in identifiers:
            await DockerContainer().kill(identifier)
    assert len(names) == 4
    assert all(name is not None and name.startswith("same-name") for name in names)
