"""Making blocks for a test's namespace, running many at once, and looking at what is there."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import anyio

from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes import KubernetesJob
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from infrablocks.base import InfrastructureResult
    from infrablocks.kubernetes import KubernetesClusterConfig
    from tests.engines.cluster import Cluster

IMAGE = "busybox:test"

START_SECONDS = 250
"""A limit for the start of pods that decides nothing: longer than any wait of a test."""

FOREVER = "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done"
"""A command that ends with 7 when it is told to end."""

DEAF = "trap '' TERM; echo running; while :; do sleep 0.05; done"
"""A command that only SIGKILL ends."""

LOOK = "labelSelector=infrablocks.io/run-id="
"""Is in the requests by which a run asks for its Job and its pods, in place of waiting for what the watch tells."""

POD = "/spec/template/spec"
OUR_CONTAINER = f"{POD}/containers/0"


def added(**values: Any) -> list[dict[str, Any]]:
    """Give operations that add to a manifest; in paths `_` stands for `/`, and they begin in the spec of the Job."""
    return [{"op": "add", "path": f"/spec/{name.replace('_', '/')}", "value": value} for name, value in values.items()]


def in_pod(**values: Any) -> list[dict[str, Any]]:
    """Give operations that add to the spec of the pods."""
    return [{"op": "add", "path": f"{POD}/{name}", "value": value} for name, value in values.items()]


def container(name: str, command: str, **more: Any) -> dict[str, Any]:
    """Give another container for a pod."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", command], **more}


class Lines:
    """Collects what a run prints, and can act on it."""

    def __init__(self, on_line: Callable[[str], object] | None = None) -> None:
        self._on_line = on_line
        self._lock = threading.Lock()
        self.lines: list[str] = []

    def __call__(self, stream: str, line: str) -> None:
        with self._lock:
            self.lines.append(line if stream == "stdout" else f"{stream}: {line}")
        if self._on_line is not None:
            self._on_line(line)

    @property
    def text(self) -> str:
        """All that was printed."""
        return "".join(self.lines)


@dataclass(frozen=True)
class Jobs:
    """Makes blocks whose Jobs are in one namespace.

    Attributes:
        cluster: Where.
        namespace: The namespace.
        config: Who asks, and where.
    """

    cluster: Cluster
    namespace: str
    config: KubernetesClusterConfig

    def block(self, command: str | list[str], **fields: Any) -> KubernetesJob:
        """Give a block; a command that is text is for the shell."""
        words = ["sh", "-c", command] if isinstance(command, str) else command
        usual: dict[str, Any] = {
            "image": IMAGE,
            "namespace": self.namespace,
            "cluster_config": self.config,
            "image_pull_policy": "IfNotPresent",
            "pod_watch_timeout_seconds": START_SECONDS,
            "grace_seconds": 1,
        }
        return KubernetesJob(command=words, **{**usual, **fields})

    def named(self, kind: str) -> list[str]:
        """Name all objects of a kind that are in the namespace, such as `pods`."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        listed = self.cluster.api("GET", f"{group}/namespaces/{self.namespace}/{kind}")
        return sorted(item["metadata"]["name"] for item in listed["items"])

    def left(self) -> dict[str, list[str]]:
        """Name what is left of runs."""
        return {kind: self.named(kind) for kind in ("jobs", "pods", "secrets")}

    def running(self) -> dict[str, list[str]]:
        """Name the Jobs, and the pods that have not ended: a node takes a moment to tidy up after one that has."""
        pods = [pod for pod in self._pods() if pod["status"].get("phase") not in {"Succeeded", "Failed"}]
        return {"jobs": self.named("jobs"), "pods": sorted(pod["metadata"]["name"] for pod in pods)}

    def pod_phases(self) -> list[str]:
        """Name the phases of all pods."""
        return [str(pod["status"].get("phase")) for pod in self._pods()]

    def has_unschedulable_pod(self) -> bool:
        """Say whether the cluster has told that it has no node for a pod."""
        conditions = [each for pod in self._pods() for each in pod["status"].get("conditions", [])]
        return any(each.get("reason") == "Unschedulable" for each in conditions)

    def _pods(self) -> list[dict[str, Any]]:
        listed = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/pods")
        return list(listed["items"])

    def delete(self, kind: str, name: str, **options: Any) -> None:
        """Delete an object."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        self.cluster.api("DELETE", f"{group}/namespaces/{self.namespace}/{kind}/{name}", options or None)

    def create(self, kind: str, body: Mapping[str, Any]) -> None:
        """Make an object."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        self.cluster.api("POST", f"{group}/namespaces/{self.namespace}/{kind}", dict(body))

    def change(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Change an object by a merge patch."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        self.cluster.api("PATCH", f"{group}/namespaces/{self.namespace}/{kind}/{name}", dict(body))


NOTHING_LEFT: dict[str, list[str]] = {"jobs": [], "pods": [], "secrets": []}
NOTHING_RUNS: dict[str, list[str]] = {"jobs": [], "pods": []}


@dataclass
class Story:
    """How one of several runs went.

    Attributes:
        output: What it printed.
        result: Its result.
        error: What it raised.
    """

    output: Lines
    result: InfrastructureResult | None = None
    error: InfrastructureError | None = None

    @property
    def summary(self) -> tuple[int, str, str]:
        """The code, the reason, and what was printed."""
        if self.result is None:
            return (-2, type(self.error).__name__, self.output.text)
        return (self.result.status_code, str(self.result.reason), self.output.text)

    @property
    def message(self) -> str:
        """What a person is told."""
        return str(self.error) if self.result is None else self.result.message


async def run_all(blocks: Mapping[str, KubernetesJob], outputs: Mapping[str, Lines] | None = None) -> dict[str, Story]:
    """Run blocks at the same time."""
    stories = {name: Story((outputs or {}).get(name) or Lines()) for name in blocks}

    async def run(name: str) -> None:
        story = stories[name]
        try:
            story.result = await blocks[name].run(output=story.output)
        except InfrastructureError as error:
            story.error = error

    async with anyio.create_task_group() as tasks:
        for name in blocks:
            tasks.start_soon(run, name)
    return stories


class Identifier:
    """A task status that gives the identifier to whoever waits for it."""

    def __init__(self) -> None:
        self._told = anyio.Event()
        self._value = ""

    def started(self, value: Any = None) -> None:
        """Called by the run."""
        self._value = str(value)
        self._told.set()

    @property
    def is_told(self) -> bool:
        """Whether somebody has told it."""
        return self._told.is_set()

    async def get(self) -> str:
        """Wait for the identifier."""
        await self._told.wait()
        return self._value


class Seen:
    """An event that the thread of an output sets and a test waits for."""

    def __init__(self, word: str, times: int = 1) -> None:
        self._word = word
        self._left = times
        self._event = threading.Event()

    def __call__(self, line: str) -> None:
        if self._word in line:
            self._left -= 1
            if self._left <= 0:
                self._event.set()

    async def wait(self) -> None:
        """Wait until the word was printed."""
        await until(self._event.is_set)


class Gate:
    """What a command waits at until a test opens it.

    Args:
        address: An address of this machine that pods reach.
    """

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0))

    @property
    def command(self) -> str:
        """What waits, for the shell."""
        address, port = self._listener.getsockname()
        return f"nc {address} {port} 2>/dev/null"

    def let_one_pass(self) -> None:
        """Let go on the first that waits, or will; called by the thread of an output."""
        self._listener.settimeout(WAIT_SECONDS)
        self._listener.accept()[0].close()

    def open(self) -> None:
        """Let go on whoever waits, or is about to."""
        self._listener.close()  # those that wait to be accepted are cut, and later ones refused

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells about."""
    with anyio.fail_after(WAIT_SECONDS):
        while not await anyio.to_thread.run_sync(condition):  # noqa: ASYNC110
            await anyio.sleep(0.05)


def name_of(identifier: str) -> str:
    """Give the name of the Job that an identifier means."""
    _, _, name, _ = identifier.split(":")
    return name


def names(stories: Iterable[Story]) -> list[str]:
    """Name the Jobs of runs."""
    return [name_of(story.result.identifier) for story in stories if story.result is not None]
