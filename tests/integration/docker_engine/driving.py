"""Driving the engine half of the Docker back end with settings made by hand."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any, Literal

import anyio

from infrablocks._life_cycle import Run, TimeLimit
from infrablocks._output import Output
from infrablocks._threads import ThreadLimit, run_in_worker_thread
from infrablocks.docker._create import create_container
from infrablocks.docker._reference import parse_reference
from infrablocks.docker._settings import ContainerSettings
from infrablocks.docker._watch import reattach_container
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from tests.engines import images
from tests.integration.own_containers import LABEL
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from infrablocks._results import InfrastructureResult
    from infrablocks.docker._settings import RegistryCredentials

FOREVER = "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done"
"""A command that ends with 7 when it is told to end."""

DEAF = "trap '' TERM; echo running; while :; do sleep 0.05; done"
"""A command that only SIGKILL ends."""

LOGGER = logging.getLogger("infrablocks.docker-container")

_threads = ThreadLimit(100)


class Lines:
    """Collects what a run prints, and can act on it."""

    def __init__(self, on_line: Callable[[str], object] | None = None) -> None:
        self._on_line = on_line
        self._lock = threading.Lock()
        self.lines: list[tuple[str, str]] = []

    def __call__(self, stream: str, line: str) -> None:
        with self._lock:
            self.lines.append((stream, line))
        if self._on_line is not None:
            self._on_line(line)

    def text(self, stream: str) -> str:
        """Give what came on one stream."""
        return "".join(line for name, line in self.lines if name == stream)


def settings(
    command: list[str] | str,
    *,
    image: str = images.BUSYBOX,
    policy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT,
    credentials: RegistryCredentials | None = None,
    environment: dict[str, Any] | None = None,
    networks: tuple[str, ...] = (),
    auto_remove: bool = True,
    stream_output: bool = True,
    test_label: str = "",
    **create: Any,
) -> ContainerSettings:
    """Give settings; a command that is text is for the shell."""
    words = ["sh", "-c", command] if isinstance(command, str) else command
    labels = {LABEL: test_label or uuid.uuid4().hex, **create.pop("labels", {})}
    return ContainerSettings(
        image=parse_reference(image),
        image_pull_policy=policy,
        credentials=credentials,
        environment=environment or {},
        create={"image": image, "command": words, "labels": labels, **create},
        networks=networks,
        auto_remove=auto_remove,
        stream_output=stream_output,
    )


async def run(
    container: ContainerSettings,
    lines: Lines | None = None,
    *,
    task_status: TaskStatus[Any] | None = None,
    timeout_seconds: float | None = None,
    grace_seconds: float = 1,
    on_cancel: Literal["kill", "leave"] = "kill",
) -> InfrastructureResult:
    """Run a container as the block does."""
    story = _story(lines or Lines(), timeout_seconds, grace_seconds, on_cancel)
    workload = await story.begin(lambda: create_container(container, LOGGER), _threads, task_status)
    return await story.watch_to_the_end(workload)


async def attach(identifier: str, lines: Lines | None = None) -> InfrastructureResult:
    """Watch a container that is there, as the block does."""
    story = _story(lines or Lines(), None, 1, "leave")
    workload = await run_in_worker_thread(lambda: reattach_container(identifier))
    return await story.watch_to_the_end(workload)


def _story(
    lines: Lines, timeout_seconds: float | None, grace_seconds: float, on_cancel: Literal["kill", "leave"]
) -> Run:
    limit = None if timeout_seconds is None else TimeLimit(timeout_seconds)
    return Run(Output(lines), LOGGER, time_limit=limit, grace_seconds=grace_seconds, on_cancel=on_cancel)


class Identifier:
    """A task status that gives the identifier to whoever waits for it."""

    def __init__(self) -> None:
        self._told = anyio.Event()
        self._value = ""

    def started(self, value: Any = None) -> None:
        """Called by the run."""
        self._value = str(value)
        self._told.set()

    async def get(self) -> str:
        """Wait for the identifier."""
        await self._told.wait()
        return self._value


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells about: the proxy's notes, the kernel's tables."""
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.005)
